// unfold and fold: patches as rows of a matrix, and back. Convolution's definition is made of them; its kernels need no columns.
//
// cols[row][(kh*KW + kw)*C + c] = x[n, oh*SH - PH + kh*DH, ow*SW - PW + kw*DW, c], 0 outside of the image, where
// row = (n*OH + oh)*OW + ow. Traffic: the image is read KH KW times, mostly from the cache, and so often written out, which is
// the limit. O (the outputs of a convolution) and G (its groups) are not looked at.

#define SIZES int G, int C, int O, int H, int W, int KH, int KW, int OH, int OW, int SH, int SW, int PH, int PW, int DH, int DW

// A block is a tile of rows (y) and of the K = KH*KW*C places in a row (x): one division chain a row and not an element.
extern "C" __global__ void unfold(const scalar_t* x, scalar_t* cols, long long rows, SIZES) {
    int K = KH * KW * C;
    for (long long row = blockIdx.x * (long long)blockDim.y + threadIdx.y; row < rows;
         row += (long long)gridDim.x * blockDim.y) {
        int ow = int(row % OW), oh = int(row / OW % OH), n = int(row / OW / OH);
        for (int k = threadIdx.x; k < K; k += blockDim.x) {
            int c = k % C, kw = k / C % KW, kh = k / (C * KW);
            int h = oh * SH - PH + kh * DH, w = ow * SW - PW + kw * DW;
            bool inside = h >= 0 && h < H && w >= 0 && w < W;
            cols[row * K + k] = inside ? x[offset_of(n, h, w, c, H, W, C)] : scalar_t(0);
        }
    }
}

// The transpose: every pixel gathers what the patches hold of it, in a fixed order and without atomics, so the sum is the
// same in every run.
extern "C" __global__ void fold(const scalar_t* cols, scalar_t* x, long long count, SIZES) {
    int K = KH * KW * C;
    FOR_EACH(i, count) {
        Place p = place_of(i, H, W, C);
        scalar_t sum = 0;
        for (int kh = 0; kh < KH; kh++) {
            int h = p.h + PH - kh * DH;                     // = oh*SH
            if (h < 0 || h % SH || h / SH >= OH) continue;
            for (int kw = 0; kw < KW; kw++) {
                int w = p.w + PW - kw * DW;
                if (w < 0 || w % SW || w / SW >= OW) continue;
                long long row = ((long long)p.n * OH + h / SH) * OW + w / SW;
                sum += cols[row * K + (kh * KW + kw) * C + p.c];
            }
        }
        x[i] = sum;
    }
}

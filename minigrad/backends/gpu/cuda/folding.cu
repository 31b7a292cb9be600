// A convolution's patches as rows of a matrix, and back.
//
// cols[g][row][(kh*KW + kw)*C + c] = x[n, oh*SH - PH + kh*DH, ow*SW - PW + kw*DW, g*C + c], 0 outside of the image,
// where row = (n*OH + oh)*OW + ow - first_row, C is the number of channels of one of G groups.

// A block is a tile of rows (y) and of the K = KH*KW*C places in a row (x): one division chain a row and not an element.
extern "C" __global__ void unfold(const scalar_t* x, scalar_t* cols, long long first_row, long long rows, int H, int W,
                                  int G, int C, int KH, int KW, int OH, int OW, int SH, int SW, int PH, int PW, int DH,
                                  int DW) {
    int K = KH * KW * C;
    for (long long row = blockIdx.x * (long long)blockDim.y + threadIdx.y; row < rows;
         row += (long long)gridDim.x * blockDim.y) {
        long long t = first_row + row;
        int ow = int(t % OW), oh = int(t / OW % OH), n = int(t / OW / OH);
        for (int k = threadIdx.x; k < K * G; k += blockDim.x) {
            int g = k / K, c = k % C, kw = k / C % KW, kh = k % K / (C * KW);
            int h = oh * SH - PH + kh * DH, w = ow * SW - PW + kw * DW;
            bool inside = h >= 0 && h < H && w >= 0 && w < W;
            cols[(g * rows + row) * K + k % K] = inside ? x[offset_of(n, h, w, g * C + c, H, W, G * C)] : scalar_t(0);
        }
    }
}

// The transpose: every pixel gathers what the patches hold of it, in a fixed order and without atomics, so the sum is the
// same in every run. Rows first_row to first_row + rows of cols are at hand; the image lines from first_line on, `lines` of
// them counted over all images (n*H + h), are written, or added to where `accumulate` is set.
extern "C" __global__ void fold(const scalar_t* cols, scalar_t* x, long long first_row, long long rows,
                                long long first_line, long long lines, int H, int W, int G, int C, int KH, int KW, int OH,
                                int OW, int SH, int SW, int PH, int PW, int DH, int DW, int accumulate) {
    int K = KH * KW * C;
    FOR_EACH(i, lines * W * G * C) {
        Place p = place_of(first_line * W * G * C + i, H, W, G * C);
        int g = p.c / C, c = p.c % C;
        scalar_t sum = 0;
        for (int kh = 0; kh < KH; kh++) {
            int h = p.h + PH - kh * DH;                     // = oh*SH
            if (h < 0 || h % SH || h / SH >= OH) continue;
            for (int kw = 0; kw < KW; kw++) {
                int w = p.w + PW - kw * DW;
                if (w < 0 || w % SW || w / SW >= OW) continue;
                long long row = ((long long)p.n * OH + h / SH) * OW + w / SW - first_row;
                if (row >= 0 && row < rows) sum += cols[(g * rows + row) * K + (kh * KW + kw) * C + c];
            }
        }
        scalar_t* place = x + first_line * W * G * C + i;
        *place = accumulate ? *place + sum : sum;
    }
}

// Max and average pooling of channels-last images. tap_t (unsigned char or int) is set by the compiler's -D option.

// y = the largest value of each window, tap = kh*KW + kw of the first such; the last NaN of a window wins over all.
// z is what a convolution left: a bias is added, and its ReLU applied, on the way in, so that the full map is read once.
// Where it cuts y off, no gradient goes to the winner: CUT_BIT is set in tap.
#define CUT_BIT (sizeof(tap_t) == 1 ? 128 : 1 << 30)
extern "C" __global__ void max_pool(const scalar_t* z, const scalar_t* bias, int relu, scalar_t* y, tap_t* tap,
                                    long long count, int H, int W, int C, int OH, int OW, int KH, int KW, int SH, int SW,
                                    int PH, int PW, int DH, int DW) {
    FOR_EACH(i, count) {
        Place p = place_of(i, OH, OW, C);
        scalar_t largest = NEGATIVE_INFINITY;
        int winner = -1;
        for (int kh = 0; kh < KH; kh++) {
            int h = p.h * SH - PH + kh * DH;
            if (h < 0 || h >= H) continue;
            for (int kw = 0; kw < KW; kw++) {
                int w = p.w * SW - PW + kw * DW;
                if (w < 0 || w >= W) continue;
                scalar_t value = z[offset_of(p.n, h, w, p.c, H, W, C)];
                if (bias) value += bias[p.c];
                if (relu) value = positive_part(value);
                if (winner < 0 || value > largest || isnan(value)) {
                    largest = value;
                    winner = kh * KW + kw;
                }
            }
        }
        y[i] = largest;
        tap[i] = (winner < 0 ? 0 : winner) | (relu && !passes(largest) ? CUT_BIT : 0);
    }
}

// gx: every pixel gathers gy of the windows that it won, in a fixed order.
extern "C" __global__ void max_pool_backward(const scalar_t* gy, const tap_t* tap, scalar_t* gx, long long count, int H,
                                             int W, int C, int OH, int OW, int KH, int KW, int SH, int SW, int PH, int PW,
                                             int DH, int DW) {
    FOR_EACH(i, count) {
        Place p = place_of(i, H, W, C);
        scalar_t sum = 0;
        for (int kh = 0; kh < KH; kh++) {
            int h = p.h + PH - kh * DH;                     // = oh*SH
            if (h < 0 || h % SH || h / SH >= OH) continue;
            for (int kw = 0; kw < KW; kw++) {
                int w = p.w + PW - kw * DW;
                if (w < 0 || w % SW || w / SW >= OW) continue;
                long long window = offset_of(p.n, h / SH, w / SW, p.c, OH, OW, C);
                if (tap[window] == kh * KW + kw) sum += gy[window];
            }
        }
        gx[i] = sum;
    }
}

// The transpose of that: x at each window's winner.
extern "C" __global__ void max_pool_gather(const scalar_t* x, const tap_t* tap, scalar_t* y, long long count, int H, int W,
                                           int C, int OH, int OW, int KH, int KW, int SH, int SW, int PH, int PW, int DH,
                                           int DW) {
    FOR_EACH(i, count) {
        Place p = place_of(i, OH, OW, C);
        int h = p.h * SH - PH + tap[i] / KW * DH, w = p.w * SW - PW + tap[i] % KW * DW;
        bool inside = h >= 0 && h < H && w >= 0 && w < W;   // false only for a window that lies in the padding alone
        y[i] = inside ? x[offset_of(p.n, h, w, p.c, H, W, C)] : scalar_t(0);
    }
}

// Bin i of OH over H lines reaches from floor(i*H/OH) to ceil((i+1)*H/OH).
__device__ __forceinline__ int bin_start(int i, int bins, int size) { return int((long long)i * size / bins); }
__device__ __forceinline__ int bin_end(int i, int bins, int size) {
    return int(((long long)(i + 1) * size + bins - 1) / bins);
}

extern "C" __global__ void adaptive_avg_pool(const scalar_t* x, scalar_t* y, long long count, int H, int W, int C, int OH,
                                             int OW) {
    FOR_EACH(i, count) {
        Place p = place_of(i, OH, OW, C);
        int h0 = bin_start(p.h, OH, H), h1 = bin_end(p.h, OH, H), w0 = bin_start(p.w, OW, W), w1 = bin_end(p.w, OW, W);
        scalar_t sum = 0;
        for (int h = h0; h < h1; h++) {
            scalar_t line = 0;                              // line by line: the rounding error grows with H + W, not H*W
            for (int w = w0; w < w1; w++) line += x[offset_of(p.n, h, w, p.c, H, W, C)];
            sum += line;
        }
        y[i] = sum / scalar_t((h1 - h0) * (w1 - w0));
    }
}

// gx: every pixel gathers from the bins that it lies in; pixel h lies in the bins floor(h*OH/H) to ceil((h+1)*OH/H).
extern "C" __global__ void adaptive_avg_pool_backward(const scalar_t* gy, scalar_t* gx, long long count, int H, int W,
                                                      int C, int OH, int OW) {
    FOR_EACH(i, count) {
        Place p = place_of(i, H, W, C);
        scalar_t sum = 0;
        for (int oh = bin_start(p.h, H, OH); oh < bin_end(p.h, H, OH); oh++) {
            int height = bin_end(oh, OH, H) - bin_start(oh, OH, H);
            for (int ow = bin_start(p.w, W, OW); ow < bin_end(p.w, W, OW); ow++) {
                int width = bin_end(ow, OW, W) - bin_start(ow, OW, W);
                sum += gy[offset_of(p.n, oh, ow, p.c, OH, OW, C)] / scalar_t(height * width);
            }
        }
        gx[i] = sum;
    }
}

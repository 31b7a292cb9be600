// Convolution and its gradients as implicit matrix products, each in one launch: the columns are never there.
//
//     y[m][o]  = sum over k of patch[m][k] w[o][k] + bias[o], ReLU if asked for      m = (n, oh, ow), k = (kh, kw, c)
//     gx[m][c] = sum over k of gz[m, k] w[o][kh, kw, c]                              m = (n, h, w),   k = (kh, kw, o)
//     gw[o][k] = sum over m of gz[m][o] patch[m][k],  gb[o] = sum over m of gz[m][o]
//
// where gz is gy, but 0 where a fused ReLU cut its result y off. A linear layer is the case of images of one pixel.
//
// The naive form, a thread a result, reads both operands from memory for each product. The next one writes the patches out as
// columns and multiplies (unfold, cuBLAS, fold): KH KW times the image written and read again, a launch for each step of each
// chunk. Here a block of 256 threads has a tile of 64 x 64 results. It walks along the sum 16 steps at a time: all threads
// bring 16 x 64 numbers of both operands into shared memory, the patches straight from the image, zeros outside of it; then
// they multiply. So each number that comes from memory serves 64 products, and the image is read once for each tile of
// outputs, mostly from L2. Bias, ReLU and the ReLU's gradient ride along. How is in tiles.cuh.
//
// The gradient of w sums over all rows, so these are split over blocks, too; each leaves its tile of partial sums, and the last
// one of a tile to end adds them up in their order: the same numbers in every run.
//
// Traffic of the first: x (O / 64) times and w (rows / 64) times from L2, y once. The limit is the rate of products from
// KH KW C of about 200 on, memory below. Not done: cp.async in several stages (loads wait for products), tiles of 128.

#include "tiles.cuh"

struct Sizes { int G, C, O, H, W, KH, KW, OH, OW, SH, SW, PH, PW, DH, DW; };   // C and O of one of G groups
#define SIZES int G, int C, int O, int H, int W, int KH, int KW, int OH, int OW, int SH, int SW, int PH, int PW, int DH, int DW
#define SIZES_GIVEN {G, C, O, H, W, KH, KW, OH, OW, SH, SW, PH, PW, DH, DW}

struct Fraction { int n, h, w; };                           // image, line and column of a row of a product; n < 0: there is none

__device__ __forceinline__ Fraction split(int row, int rows, int H, int W) {
    return {row < rows ? row / W / H : -1, row / W % H, row % W};
}

// ---- forward ---------------------------------------------------------------------------------------------------------------
// x (N, H, W, G C), w (G O, C, KH, KW), y (N, OH, OW, G O); blockIdx: tiles of rows, tiles of outputs, groups.
extern "C" __global__ void __launch_bounds__(THREADS) convolve(const scalar_t* x, const scalar_t* w, const scalar_t* bias,
                                                               scalar_t* y, int rows, int relu, SIZES) {
    __shared__ Tile a, b;
    Sizes s = SIZES_GIVEN;
    int first_row = blockIdx.x * TILE, first_o = blockIdx.y * TILE, g = blockIdx.z;
    int depth = threadIdx.x % DEPTH, line = threadIdx.x / DEPTH, K = s.KH * s.KW * s.C;
    Fraction at[LOADS];
    for (int i = 0; i < LOADS; i++) at[i] = split(first_row + line + i * DEPTH, rows, s.OH, s.OW);
    scalar_t sums[RESULTS] = {};
    for (int k0 = 0; k0 < K; k0 += DEPTH) {
        int k = k0 + depth, c = k % s.C, kw = k / s.C % s.KW, kh = k / s.C / s.KW;
#pragma unroll
        for (int i = 0; i < LOADS; i++) {
            int h = at[i].h * s.SH - s.PH + kh * s.DH, v = at[i].w * s.SW - s.PW + kw * s.DW, o = first_o + line + i * DEPTH;
            bool inside = k < K && at[i].n >= 0 && h >= 0 && h < s.H && v >= 0 && v < s.W;
            a.value[depth][line + i * DEPTH] =
                inside ? x[offset_of(at[i].n, h, v, g * s.C + c, s.H, s.W, s.G * s.C)] : scalar_t(0);
            b.value[depth][line + i * DEPTH] =
                k < K && o < s.O ? w[(((g * s.O + o) * s.C + c) * s.KH + kh) * s.KW + kw] : scalar_t(0);
        }
        __syncthreads();
        multiply(a, b, sums);
        __syncthreads();
    }
#pragma unroll
    for (int e = 0; e < RESULTS; e++) {
        int row = first_row + row_of(e), o = first_o + column_of(e);
        if (row >= rows || o >= s.O) continue;
        scalar_t value = bias ? sums[e] + bias[g * s.O + o] : sums[e];
        y[(long long)row * s.G * s.O + g * s.O + o] = relu ? positive_part(value) : value;
    }
}

// ---- the gradient of x -----------------------------------------------------------------------------------------------------
// gy and y (N, OH, OW, G O), y null without a ReLU; gx (N, H, W, G C); blockIdx: tiles of pixels, tiles of channels, groups.
extern "C" __global__ void __launch_bounds__(THREADS) convolve_backward_x(const scalar_t* gy, const scalar_t* y,
                                                                          const scalar_t* w, scalar_t* gx, int rows, SIZES) {
    __shared__ Tile a, b;
    Sizes s = SIZES_GIVEN;
    int first_row = blockIdx.x * TILE, first_c = blockIdx.y * TILE, g = blockIdx.z;
    int depth = threadIdx.x % DEPTH, line = threadIdx.x / DEPTH, K = s.KH * s.KW * s.O;
    Fraction at[LOADS];
    for (int i = 0; i < LOADS; i++) at[i] = split(first_row + line + i * DEPTH, rows, s.H, s.W);
    scalar_t sums[RESULTS] = {};
    for (int k0 = 0; k0 < K; k0 += DEPTH) {
        int k = k0 + depth, o = k % s.O, kw = k / s.O % s.KW, kh = k / s.O / s.KW;
#pragma unroll
        for (int i = 0; i < LOADS; i++) {
            int h = at[i].h + s.PH - kh * s.DH, v = at[i].w + s.PW - kw * s.DW, c = first_c + line + i * DEPTH;   // oh SH, ow SW
            bool inside = k < K && at[i].n >= 0 && h >= 0 && v >= 0 && h % s.SH == 0 && v % s.SW == 0;
            inside = inside && h / s.SH < s.OH && v / s.SW < s.OW;
            scalar_t value = 0;
            if (inside) {
                long long place = offset_of(at[i].n, h / s.SH, v / s.SW, g * s.O + o, s.OH, s.OW, s.G * s.O);
                if (!y || passes(y[place])) value = gy[place];
            }
            a.value[depth][line + i * DEPTH] = value;
            b.value[depth][line + i * DEPTH] =
                k < K && c < s.C ? w[(((g * s.O + o) * s.C + c) * s.KH + kh) * s.KW + kw] : scalar_t(0);
        }
        __syncthreads();
        multiply(a, b, sums);
        __syncthreads();
    }
#pragma unroll
    for (int e = 0; e < RESULTS; e++) {
        int row = first_row + row_of(e), c = first_c + column_of(e);
        if (row < rows && c < s.C) gx[(long long)row * s.G * s.C + g * s.C + c] = sums[e];
    }
}

// ---- the gradients of w and of the bias ------------------------------------------------------------------------------------
// gw (G O, C, KH, KW) and gb (G O) or null, added to where `accumulate` is set; the bias is weight number KH KW C, of a patch's
// number that is always 1. blockIdx: tiles of outputs, tiles of weights from first_tile on, splits within groups; parts: RESULTS * THREADS of each
// block, counters: one for each tile of each group.
extern "C" __global__ void __launch_bounds__(THREADS) convolve_backward_w(
    const scalar_t* gy, const scalar_t* y, const scalar_t* x, scalar_t* gw, scalar_t* gb, scalar_t* parts, unsigned* counters,
    int rows, int split_rows, int splits, int first_tile, int accumulate, SIZES) {
    __shared__ Tile a, b;
    Sizes s = SIZES_GIVEN;
    int first_o = blockIdx.x * TILE, first_k = (blockIdx.y + first_tile) * TILE, g = blockIdx.z / splits;
    int K = s.KH * s.KW * s.C, column = threadIdx.x % TILE, line = threadIdx.x / TILE;
    int k = first_k + column, c = k % s.C, kw = k / s.C % s.KW, kh = k / s.C / s.KW;
    int begin = blockIdx.z % splits * split_rows, end = min(begin + split_rows, rows);
    scalar_t sums[RESULTS] = {};
    for (int row0 = begin; row0 < end; row0 += DEPTH) {
#pragma unroll
        for (int i = 0; i < LOADS; i++) {
            int depth = line + i * (THREADS / TILE), row = row0 + depth;
            Fraction at = split(row, end, s.OH, s.OW);
            scalar_t value = 0, pixel = k == K ? scalar_t(1) : scalar_t(0);
            if (at.n >= 0 && first_o + column < s.O) {
                long long place = (long long)row * s.G * s.O + g * s.O + first_o + column;
                if (!y || passes(y[place])) value = gy[place];
            }
            int h = at.h * s.SH - s.PH + kh * s.DH, v = at.w * s.SW - s.PW + kw * s.DW;
            if (gw && at.n >= 0 && k < K && h >= 0 && h < s.H && v >= 0 && v < s.W)
                pixel = x[offset_of(at.n, h, v, g * s.C + c, s.H, s.W, s.G * s.C)];
            a.value[depth][column] = value;
            b.value[depth][column] = pixel;
        }
        __syncthreads();
        multiply(a, b, sums);
        __syncthreads();
    }
    long long tile = ((long long)g * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    if (splits > 1) {
        for (int e = 0; e < RESULTS; e++)
            parts[((tile * splits + blockIdx.z % splits) * RESULTS + e) * THREADS + threadIdx.x] = sums[e];
        if (!is_last_block(counters + tile, splits)) return;
        for (int e = 0; e < RESULTS; e++) {
            double sum = 0;
            for (int i = 0; i < splits; i++) sum += parts[((tile * splits + i) * RESULTS + e) * THREADS + threadIdx.x];
            sums[e] = scalar_t(sum);
        }
    }
    for (int e = 0; e < RESULTS; e++) {
        int o = g * s.O + first_o + row_of(e), place = first_k + column_of(e);
        if (first_o + row_of(e) >= s.O || place > K || (place == K && !gb) || (place < K && !gw)) continue;
        int offset = place / s.C;                           // kh KW + kw
        scalar_t* out = place == K ? gb + o : gw + ((long long)o * s.C + place % s.C) * s.KH * s.KW + offset;
        *out = accumulate ? *out + sums[e] : sums[e];
    }
}

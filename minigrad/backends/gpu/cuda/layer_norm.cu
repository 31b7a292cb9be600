// Layer norm over the rows of an (M, D) matrix: one block a row, whose threads (a multiple of 32) run along it; and the
// gradients of weight and bias, sums over the rows, chunk by chunk as in normalization.cu. Sums are taken in double.
// Traffic: each row is read from memory once and twice more from the cache; the limit is memory.

// y = (x - mean) invstd w + b with the mean and variance of the row; w and b may be null.
extern "C" __global__ void layer_norm(const scalar_t* x, const scalar_t* w, const scalar_t* b, scalar_t* y,
                                      scalar_t* mean, scalar_t* invstd, long long M, int D, double eps) {
    for (long long row = blockIdx.x; row < M; row += gridDim.x) {
        const scalar_t* from = x + row * D;
        double sum = 0, m2 = 0;
        for (int d = threadIdx.x; d < D; d += blockDim.x) sum += from[d];
        double center = block_sum(sum) / D;
        for (int d = threadIdx.x; d < D; d += blockDim.x) m2 += (from[d] - center) * (from[d] - center);
        double scale = 1 / sqrt(block_sum(m2) / D + eps);
        for (int d = threadIdx.x; d < D; d += blockDim.x) {
            scalar_t value = scalar_t((from[d] - center) * scale);
            if (w) value *= w[d];
            if (b) value += b[d];
            y[row * D + d] = value;
        }
        if (threadIdx.x == 0) {
            mean[row] = scalar_t(center);
            invstd[row] = scalar_t(scale);
        }
    }
}

// gx = invstd (g - mean(g) - z mean(g z)) with g = gy w and z = (x - mean) invstd; w may be null. A block goes through several
// rows, so that its threads can add up gy z and gy of the columns that they have (OF_THREAD each at most): chunk_gw and chunk_gb
// get a row a block, and the last block adds them up. Without gw or gb nothing is added up, without gx it is not written.
#define OF_THREAD 4
extern "C" __global__ void layer_norm_backward(const scalar_t* gy, const scalar_t* x, const scalar_t* w,
                                               const scalar_t* mean, const scalar_t* invstd, scalar_t* gx, scalar_t* gw,
                                               scalar_t* gb, double* chunk_gw, double* chunk_gb, unsigned* counter,
                                               long long M, int D) {
    double sums[OF_THREAD] = {}, sums_z[OF_THREAD] = {};
    for (long long row = blockIdx.x; row < M; row += gridDim.x) {
        const scalar_t *g = gy + row * D, *from = x + row * D;
        double sum = 0, sum_z = 0, center = mean[row], scale = invstd[row];
        for (int d = threadIdx.x; d < D; d += blockDim.x) {
            double value = w ? double(g[d]) * w[d] : double(g[d]);
            sum += value;
            sum_z += value * (from[d] - center) * scale;
        }
        sum = block_sum(sum) / D;
        sum_z = block_sum(sum_z) / D;
        for (int d = threadIdx.x; gx && d < D; d += blockDim.x) {
            double value = w ? double(g[d]) * w[d] : double(g[d]);
            gx[row * D + d] = scalar_t(scale * (value - sum - (from[d] - center) * scale * sum_z));
        }
#pragma unroll
        for (int i = 0; i < OF_THREAD; i++) {
            int d = threadIdx.x + i * blockDim.x;
            if (!gb || d >= D) continue;
            sums[i] += g[d];
            sums_z[i] += g[d] * (from[d] - center) * scale;
        }
    }
    if (!gb) return;
#pragma unroll
    for (int i = 0; i < OF_THREAD; i++) {
        int d = threadIdx.x + i * blockDim.x;
        if (d >= D) continue;
        chunk_gw[(long long)blockIdx.x * D + d] = sums_z[i];
        chunk_gb[(long long)blockIdx.x * D + d] = sums[i];
    }
    if (!is_last_block(counter, gridDim.x)) return;
    for (int d = threadIdx.x; d < D; d += blockDim.x) {
        double sum = 0, sum_z = 0;
        for (int i = 0; i < int(gridDim.x); i++) {
            sum_z += chunk_gw[(long long)i * D + d];
            sum += chunk_gb[(long long)i * D + d];
        }
        gw[d] = scalar_t(sum_z);
        gb[d] = scalar_t(sum);
    }
}

// Of longer rows gw = the sums over the rows of gy z, gb = those of gy: chunk by chunk, and the last block of a tile adds up the chunks.
extern "C" __global__ void layer_norm_sums(const scalar_t* gy, const scalar_t* x, const scalar_t* mean,
                                           const scalar_t* invstd, double* chunk_gw, double* chunk_gb, unsigned* counters,
                                           scalar_t* gw, scalar_t* gb, long long M, int D, int chunk_rows) {
    int d = blockIdx.y * COLUMNS + threadIdx.x;
    long long first = blockIdx.x * (long long)chunk_rows;
    long long last = min(first + chunk_rows, M);
    double sum_z = 0, sum = 0;
    if (d < D)
        for (long long row = first + threadIdx.y; row < last; row += ROW_THREADS) {
            double g = gy[row * D + d];
            sum += g;
            sum_z += g * (double(x[row * D + d]) - mean[row]) * invstd[row];
        }
    sum_z = column_sum(sum_z);
    sum = column_sum(sum);
    if (d < D && threadIdx.y == 0) {
        chunk_gw[(long long)blockIdx.x * D + d] = sum_z;
        chunk_gb[(long long)blockIdx.x * D + d] = sum;
    }
    if (!is_last_block(counters + blockIdx.y, gridDim.x)) return;
    sum_z = sum_of_chunks(chunk_gw, gridDim.x, D, d);
    sum = sum_of_chunks(chunk_gb, gridDim.x, D, d);
    if (d < D && threadIdx.y == 0) {
        gw[d] = scalar_t(sum_z);
        gb[d] = scalar_t(sum);
    }
}

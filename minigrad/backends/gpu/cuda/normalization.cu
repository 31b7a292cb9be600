// Sums over the rows of an (R, C) matrix, one for each column: the statistics of batch norm, the gradient of a bias.
//
// The naive form, one block a column, would read memory in strides and fill few processors. Here a block has a tile of 32
// columns x 8 row-threads and reduces its own chunk of rows; the last block of a tile to end (is_last_block, one counter a
// tile) adds up the chunks' sums, in their order. So one launch does it, without atomics on floats: the result is the same in
// every run. Traffic: x is read once from memory and once more from the cache (moments), chunks' sums are nothing beside it.
// The limit is memory. Blocks: threadIdx.x is a column, threadIdx.y one of ROW_THREADS threads that share that column's rows.

// running = (1 - momentum) running + momentum batch, of means and of variances (times `unbias`); each may be null.
__device__ __forceinline__ void follow_one(const scalar_t* mean, const scalar_t* var, scalar_t* running_mean,
                                           scalar_t* running_var, long long c, scalar_t momentum, scalar_t rest,
                                           scalar_t unbias) {
    if (running_mean) running_mean[c] = running_mean[c] * rest + momentum * mean[c];
    if (running_var) running_var[c] = running_var[c] * rest + momentum * (var[c] * unbias);
}

// Mean, 1 / sqrt(var + eps) and biased variance of each column. A chunk's are mean_i and m2_i = sum of (x - mean_i)^2, taken in
// two passes over what lies in cache: no cancellation, whatever the mean. Then R mean = sum rows_i mean_i and
// R var = sum m2_i + rows_i (mean_i - mean)^2 (Chan, Golub and LeVeque 1979). The running statistics follow.
extern "C" __global__ void moments(const scalar_t* x, double* chunk_mean, double* chunk_m2, unsigned* counters,
                                   scalar_t* mean, scalar_t* invstd, scalar_t* var, long long R, int C, int chunk_rows,
                                   double eps, scalar_t* running_mean, scalar_t* running_var, scalar_t momentum,
                                   scalar_t rest, scalar_t unbias) {
    int c = blockIdx.y * COLUMNS + threadIdx.x, chunks = gridDim.x;
    long long first = blockIdx.x * (long long)chunk_rows;
    long long last = min(first + chunk_rows, R);
    double sum = 0, m2 = 0;
    if (c < C)
        for (long long r = first + threadIdx.y; r < last; r += ROW_THREADS) sum += x[r * C + c];
    double center = column_sum(sum) / double(last - first);
    if (c < C)
        for (long long r = first + threadIdx.y; r < last; r += ROW_THREADS) {
            double d = x[r * C + c] - center;
            m2 += d * d;
        }
    m2 = column_sum(m2);
    if (c < C && threadIdx.y == 0) {
        chunk_mean[(long long)blockIdx.x * C + c] = center;
        chunk_m2[(long long)blockIdx.x * C + c] = m2;
    }
    if (!is_last_block(counters + blockIdx.y, gridDim.x)) return;

    sum = 0, m2 = 0;
    if (c < C)
        for (int i = threadIdx.y; i < chunks; i += ROW_THREADS)
            sum += chunk_mean[(long long)i * C + c] * double(min((long long)chunk_rows, R - (long long)i * chunk_rows));
    center = column_sum(sum) / double(R);
    if (c < C)
        for (int i = threadIdx.y; i < chunks; i += ROW_THREADS) {
            double d = chunk_mean[(long long)i * C + c] - center;
            double rows = double(min((long long)chunk_rows, R - (long long)i * chunk_rows));
            m2 += chunk_m2[(long long)i * C + c] + rows * d * d;
        }
    double variance = column_sum(m2) / double(R);
    if (c < C && threadIdx.y == 0) {
        mean[c] = scalar_t(center);
        invstd[c] = scalar_t(1 / sqrt(variance + eps));
        var[c] = scalar_t(variance);
        follow_one(mean, var, running_mean, running_var, c, momentum, rest, unbias);
    }
}

extern "C" __global__ void follow(const scalar_t* mean, const scalar_t* var, scalar_t* running_mean, scalar_t* running_var,
                                  int C, scalar_t momentum, scalar_t rest, scalar_t unbias) {
    FOR_EACH(c, C) follow_one(mean, var, running_mean, running_var, c, momentum, rest, unbias);
}

// y = (x - mean) invstd w + b; w and b may be null.
extern "C" __global__ void normalize(const scalar_t* x, const scalar_t* w, const scalar_t* b, const scalar_t* mean,
                                     const scalar_t* invstd, scalar_t* y, long long count, int C) {
    FOR_EACH(i, count) {
        int c = int(i % C);
        scalar_t value = (x[i] - mean[c]) * invstd[c];
        if (w) value *= w[c];
        if (b) value += b[c];
        y[i] = value;
    }
}

// gb = the sums of gy, gw = those of gy * xhat, xhat = (x - mean) invstd. x may be null: only the first then.
extern "C" __global__ void gradient_sums(const scalar_t* gy, const scalar_t* x, const scalar_t* mean,
                                         const scalar_t* invstd, double* chunk_gy, double* chunk_gy_xhat,
                                         unsigned* counters, scalar_t* gb, scalar_t* gw, long long R, int C,
                                         int chunk_rows) {
    int c = blockIdx.y * COLUMNS + threadIdx.x;
    long long first = blockIdx.x * (long long)chunk_rows;
    long long last = min(first + chunk_rows, R);
    double sum = 0, sum_xhat = 0;
    if (c < C)
        for (long long r = first + threadIdx.y; r < last; r += ROW_THREADS) {
            double g = gy[r * C + c];
            sum += g;
            if (x) sum_xhat += g * (double(x[r * C + c]) - mean[c]) * invstd[c];
        }
    sum = column_sum(sum);
    sum_xhat = column_sum(sum_xhat);
    if (c < C && threadIdx.y == 0) {
        chunk_gy[(long long)blockIdx.x * C + c] = sum;
        if (x) chunk_gy_xhat[(long long)blockIdx.x * C + c] = sum_xhat;
    }
    if (!is_last_block(counters + blockIdx.y, gridDim.x)) return;
    sum = sum_of_chunks(chunk_gy, gridDim.x, C, c);
    sum_xhat = x ? sum_of_chunks(chunk_gy_xhat, gridDim.x, C, c) : 0;
    if (c < C && threadIdx.y == 0) {
        gb[c] = scalar_t(sum);
        if (x) gw[c] = scalar_t(sum_xhat);
    }
}

// gx = w invstd (gy - gb/R - xhat gw/R) where the statistics came from this batch, w invstd gy where they were given.
extern "C" __global__ void normalize_backward(const scalar_t* gy, const scalar_t* x, const scalar_t* w,
                                              const scalar_t* mean, const scalar_t* invstd, const scalar_t* gw,
                                              const scalar_t* gb, scalar_t* gx, long long count, int C, int training) {
    scalar_t per_row = scalar_t(C) / scalar_t(count);       // 1/R
    FOR_EACH(i, count) {
        int c = int(i % C);
        scalar_t value = gy[i];
        if (training) value -= (gb[c] + (x[i] - mean[c]) * invstd[c] * gw[c]) * per_row;
        if (w) value *= w[c];
        gx[i] = value * invstd[c];
    }
}

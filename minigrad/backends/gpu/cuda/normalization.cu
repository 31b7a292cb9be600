// Sums over the rows of an (R, C) matrix, one for each column: the statistics of batch norm, the gradient of a bias.
//
// They are taken in two launches. First each block of (32 columns) x (8 row-threads) reduces its own chunk of rows; then
// merge_* adds up the chunks. The order is fixed, so the result is the same in every run, and no atomics are needed.
// Blocks: threadIdx.x is a column, threadIdx.y one of ROW_THREADS threads that share that column's rows.

// chunk_mean[chunk][c] and chunk_m2[chunk][c] = sum of (x - chunk_mean)^2. Two passes over a chunk that lies in cache: no
// cancellation, whatever the mean.
extern "C" __global__ void moments(const scalar_t* x, double* chunk_mean, double* chunk_m2, long long R, int C,
                                   int chunk_rows) {
    int c = blockIdx.y * COLUMNS + threadIdx.x;
    long long first = blockIdx.x * (long long)chunk_rows;
    long long last = min(first + chunk_rows, R);
    double sum = 0, m2 = 0;
    if (c < C)
        for (long long r = first + threadIdx.y; r < last; r += ROW_THREADS) sum += x[r * C + c];
    double mean = column_sum(sum) / double(last - first);
    if (c < C)
        for (long long r = first + threadIdx.y; r < last; r += ROW_THREADS) {
            double d = x[r * C + c] - mean;
            m2 += d * d;
        }
    m2 = column_sum(m2);
    if (c < C && threadIdx.y == 0) {
        chunk_mean[(long long)blockIdx.x * C + c] = mean;
        chunk_m2[(long long)blockIdx.x * C + c] = m2;
    }
}

// Mean and biased variance of all R rows from those of the chunks:
// R mean = sum rows_i mean_i, R var = sum m2_i + rows_i (mean_i - mean)^2 (Chan, Golub and LeVeque 1979).
extern "C" __global__ void merge_moments(const double* chunk_mean, const double* chunk_m2, scalar_t* mean,
                                         scalar_t* invstd, scalar_t* var, int chunks, long long R, int C, int chunk_rows,
                                         double eps) {
    int c = blockIdx.x * COLUMNS + threadIdx.x;
    double sum = 0, m2 = 0;
    if (c < C)
        for (int i = threadIdx.y; i < chunks; i += ROW_THREADS)
            sum += chunk_mean[(long long)i * C + c] * double(min((long long)chunk_rows, R - (long long)i * chunk_rows));
    double center = column_sum(sum) / double(R);
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
    }
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

// For each chunk and column: the sums of gy and of gy * xhat, xhat = (x - mean) invstd. x may be null: only the first then.
extern "C" __global__ void gradient_sums(const scalar_t* gy, const scalar_t* x, const scalar_t* mean,
                                         const scalar_t* invstd, double* chunk_gy, double* chunk_gy_xhat, long long R,
                                         int C, int chunk_rows) {
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
}

// total[c] = the sum over the chunks; added to what total holds where `accumulate` is set.
extern "C" __global__ void merge_sums(const double* chunk_sums, scalar_t* total, int chunks, int C, int accumulate) {
    int c = blockIdx.x * COLUMNS + threadIdx.x;
    double sum = 0;
    if (c < C)
        for (int i = threadIdx.y; i < chunks; i += ROW_THREADS) sum += chunk_sums[(long long)i * C + c];
    sum = column_sum(sum);
    if (c < C && threadIdx.y == 0) total[c] = scalar_t(accumulate ? total[c] + sum : sum);
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

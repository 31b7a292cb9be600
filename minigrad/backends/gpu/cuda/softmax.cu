// Softmax, log-softmax and cross-entropy over the rows of an (M, C) matrix.
//
// The naive form, a thread a row, would read memory in strides; here 32 threads or more go along a row, which is read from memory
// once and from the cache after that. Traffic: one array in, one out; the limit is memory, or the launch for few rows.
//
// threadIdx.x runs along a row, threadIdx.y over the rows of a block. A row has 32 threads (a warp), or a whole block of
// more with one row. All threads of a block go through the same number of rows, for the barriers' sake; `inside` says
// whether a thread's row is there at all.

#define FOR_EACH_ROW(row, M)                                                                               \
    for (long long first = blockIdx.x * (long long)blockDim.y, row = first + threadIdx.y; first < (M);     \
         first += (long long)gridDim.x * blockDim.y, row = first + threadIdx.y)

// `value` of all threads of a row, put together; the result is known to all of them. The order is fixed.
template <bool MAXIMUM> __device__ scalar_t combine(scalar_t a, scalar_t b) { return MAXIMUM ? (a < b ? b : a) : a + b; }

template <bool MAXIMUM> __device__ scalar_t over_row(scalar_t value) {
    for (int bit = 16; bit > 0; bit /= 2)
        value = combine<MAXIMUM>(value, __shfl_xor_sync(ALL_LANES, value, bit));
    if (blockDim.x > 32) {                                  // then blockDim.y is 1: the row has the whole block
        __shared__ scalar_t warps[MAX_WARPS];
        __syncthreads();                                    // the last result has been read by all
        if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = value;
        __syncthreads();
        value = warps[0];
        for (int i = 1; i < int(blockDim.x / 32); i++) value = combine<MAXIMUM>(value, warps[i]);
    }
    return value;
}

__device__ scalar_t row_sum(scalar_t value) { return over_row<false>(value); }
__device__ scalar_t row_max(scalar_t value) { return over_row<true>(value); }

// m = max x and log sum exp(x - m). A NaN in the row makes the second NaN, and with it all results.
__device__ void log_sum_exp(const scalar_t* x, int C, bool inside, scalar_t* largest, scalar_t* log_sum) {
    scalar_t m = NEGATIVE_INFINITY, sum = 0;
    for (int c = threadIdx.x; inside && c < C; c += blockDim.x) m = max(m, x[c]);
    m = row_max(m);
    for (int c = threadIdx.x; inside && c < C; c += blockDim.x) sum += exp(x[c] - m);
    *largest = m;
    *log_sum = log(row_sum(sum));
}

// y = exp(x - m) / sum exp(x - m)
extern "C" __global__ void softmax(const scalar_t* x, scalar_t* y, long long M, int C) {
    FOR_EACH_ROW(row, M) {
        bool inside = row < M;
        scalar_t m = NEGATIVE_INFINITY, sum = 0;
        for (int c = threadIdx.x; inside && c < C; c += blockDim.x) m = max(m, x[row * C + c]);
        m = row_max(m);
        for (int c = threadIdx.x; inside && c < C; c += blockDim.x) sum += y[row * C + c] = exp(x[row * C + c] - m);
        sum = row_sum(sum);
        for (int c = threadIdx.x; inside && c < C; c += blockDim.x) y[row * C + c] /= sum;
    }
}

// gx = y (gy - sum gy y)
extern "C" __global__ void softmax_backward(const scalar_t* gy, const scalar_t* y, scalar_t* gx, long long M, int C) {
    FOR_EACH_ROW(row, M) {
        bool inside = row < M;
        scalar_t sum = 0;
        for (int c = threadIdx.x; inside && c < C; c += blockDim.x) sum += gy[row * C + c] * y[row * C + c];
        sum = row_sum(sum);
        for (int c = threadIdx.x; inside && c < C; c += blockDim.x)
            gx[row * C + c] = y[row * C + c] * (gy[row * C + c] - sum);
    }
}

// y = (x - m) - log sum exp(x - m)
extern "C" __global__ void log_softmax(const scalar_t* x, scalar_t* y, long long M, int C) {
    FOR_EACH_ROW(row, M) {
        bool inside = row < M;
        scalar_t m, log_sum;
        log_sum_exp(x + row * C, C, inside, &m, &log_sum);
        for (int c = threadIdx.x; inside && c < C; c += blockDim.x) y[row * C + c] = (x[row * C + c] - m) - log_sum;
    }
}

// gx = gy - exp(y) sum gy
extern "C" __global__ void log_softmax_backward(const scalar_t* gy, const scalar_t* y, scalar_t* gx, long long M, int C) {
    FOR_EACH_ROW(row, M) {
        bool inside = row < M;
        scalar_t sum = 0;
        for (int c = threadIdx.x; inside && c < C; c += blockDim.x) sum += gy[row * C + c];
        sum = row_sum(sum);
        for (int c = threadIdx.x; inside && c < C; c += blockDim.x)
            gx[row * C + c] = gy[row * C + c] - exp(y[row * C + c]) * sum;
    }
}

// logp of a row = log softmax(x), and its loss -(1 - s) w[t] logp[t] - s/C sum w[c] logp[c], 0 where t = ignore_index, for
// smoothing s. A target outside of 0 ... C-1 has no loss: NaN, and nothing is read out of bounds. By all threads of the row.
__device__ scalar_t row_loss(const scalar_t* x, long long t, const scalar_t* w, scalar_t* logp, int C, bool inside,
                             long long ignore_index, scalar_t smoothing) {
    scalar_t m, log_sum, smooth = 0, loss = 0;
    log_sum_exp(x, C, inside, &m, &log_sum);
    for (int c = threadIdx.x; inside && c < C; c += blockDim.x) {
        scalar_t value = (x[c] - m) - log_sum, weight = w ? w[c] : scalar_t(1);
        logp[c] = value;
        if (smoothing > 0) smooth -= weight * value;
        if (c == t) loss = -weight * value;
    }
    loss = row_sum(loss);                             // one thread has it, the others hold 0
    if (smoothing > 0) loss = (1 - smoothing) * loss + smoothing / C * row_sum(smooth);
    if (t < 0 || t >= C) loss = NOT_A_NUMBER;
    return t == ignore_index ? scalar_t(0) : loss;
}

extern "C" __global__ void cross_entropy(const scalar_t* x, const long long* target, const scalar_t* w, scalar_t* losses,
                                         scalar_t* logp, long long M, int C, long long ignore_index, scalar_t smoothing) {
    FOR_EACH_ROW(row, M) {
        bool inside = row < M;
        scalar_t loss = row_loss(x + row * C, inside ? target[row] : 0, w, logp + row * C, C, inside, ignore_index, smoothing);
        if (inside && threadIdx.x == 0) losses[row] = loss;
    }
}

// total = the sum of the losses, over that of the weights of their classes (`divisor`, 1 unless `mean` is set). A target that is
// neither a class nor ignored raises the flag (indexing.cu). Each block leaves both its sums in parts; the last adds them up.
extern "C" __global__ void cross_entropy_total(const scalar_t* x, const long long* target, const scalar_t* w, scalar_t* logp,
                                               scalar_t* total, scalar_t* divisor, double* parts, unsigned* counter,
                                               long long* flag, long long number, long long M, int C, long long ignore_index,
                                               scalar_t smoothing, int mean) {
    double losses = 0, weights = 0;
    FOR_EACH_ROW(row, M) {
        bool inside = row < M;
        long long t = inside ? target[row] : 0;
        scalar_t loss = row_loss(x + row * C, t, w, logp + row * C, C, inside, ignore_index, smoothing);
        if (!inside || threadIdx.x || t == ignore_index) continue;
        losses += loss;
        if (t >= 0 && t < C) {
            weights += w ? double(w[t]) : 1.0;
        } else if (!flag[0]) {
            flag[1] = t;
            flag[2] = number;
            flag[0] = 1;
        }
    }
    losses = block_sum(losses);
    weights = block_sum(weights);
    int thread = threadIdx.y * blockDim.x + threadIdx.x, threads = blockDim.x * blockDim.y;
    if (thread == 0) {
        parts[2 * blockIdx.x] = losses;
        parts[2 * blockIdx.x + 1] = weights;
    }
    if (!is_last_block(counter, gridDim.x)) return;
    losses = weights = 0;
    for (int i = thread; i < int(gridDim.x); i += threads) {
        losses += parts[2 * i];
        weights += parts[2 * i + 1];
    }
    losses = block_sum(losses);
    weights = block_sum(weights);
    if (thread == 0) {
        *divisor = scalar_t(mean ? weights : 1.0);
        *total = scalar_t(mean ? losses / weights : losses);
    }
}

// A step's row of a table: its loss, how many of M rows have their class first, and how many among the first five, and the norm of
// its gradient, or NaN. Among equal numbers the lower class comes first; a NaN is before every number. One block.
extern "C" __global__ void count_hits(const scalar_t* loss, const scalar_t* norm, const scalar_t* x, const long long* target,
                                      double* out, long long M, int C) {
    double first_hits = 0, five_hits = 0;
    FOR_EACH_ROW(row, M) {
        long long t = row < M ? target[row] : -1;
        bool inside = t >= 0 && t < C;
        scalar_t own = inside ? x[row * C + t] : scalar_t(0), before = 0;
        for (int c = threadIdx.x; inside && c < C; c += blockDim.x) {
            scalar_t v = x[row * C + c];
            before += !(v <= own) || (v == own && c < t);
        }
        before = row_sum(before);
        if (!inside || threadIdx.x) continue;
        first_hits += before < 1;
        five_hits += before < 5;
    }
    first_hits = block_sum(first_hits);
    five_hits = block_sum(five_hits);
    if (threadIdx.x || threadIdx.y) return;
    out[0] = *loss;
    out[1] = first_hits;
    out[2] = five_hits;
    out[3] = norm ? double(*norm) : double(NOT_A_NUMBER);
}

// gx = g (exp(logp) sum q - q), where loss = -sum q logp: q[c] = s/C w[c] + (1 - s) w[t] [c = t]. g is one number a row, or one
// for all rows, over `divisor`.
extern "C" __global__ void cross_entropy_backward(const scalar_t* g, const scalar_t* divisor, const scalar_t* logp,
                                                  const long long* target, const scalar_t* w, scalar_t* gx, long long M,
                                                  int C, long long ignore_index, scalar_t smoothing) {
    FOR_EACH_ROW(row, M) {
        bool inside = row < M;
        long long t = inside ? target[row] : 0;
        scalar_t sum = 0, factor = divisor ? *g / *divisor : inside ? g[row] : scalar_t(0);
        for (int c = threadIdx.x; inside && c < C; c += blockDim.x) {
            scalar_t weight = w ? w[c] : scalar_t(1);
            sum += smoothing / C * weight + (c == t ? (1 - smoothing) * weight : scalar_t(0));
        }
        sum = row_sum(sum);
        for (int c = threadIdx.x; inside && c < C; c += blockDim.x) {
            scalar_t weight = w ? w[c] : scalar_t(1);
            scalar_t q = smoothing / C * weight + (c == t ? (1 - smoothing) * weight : scalar_t(0));
            gx[row * C + c] = t == ignore_index ? scalar_t(0) : factor * (exp(logp[row * C + c]) * sum - q);
        }
    }
}

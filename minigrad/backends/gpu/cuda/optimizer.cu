// Optimizer steps of many parameters in one launch, and the clipping of their gradients.
//
// The naive form is a kernel a parameter (PyTorch's for-loop optimizers: some hundred launches a step, most of them shorter
// than a launch takes). Here a table on the device has a row of 64-bit words for each parameter: the addresses of its arrays,
// their length, and its numbers (learning rate and the like) as doubles. blockIdx.y is the row, and the blocks along x walk
// over its arrays, which lie alike in memory. The numbers are memory, not arguments, so that a captured graph finds new ones.
// Traffic: each array is read once and what changes is written once; there is nothing to reuse, so memory is the limit.

// A row's cells: the addresses of p, of the gradient and of so many states (0 where there is none), their length, the numbers.
#define ROW(states)                                                      \
    const long long* cells = table + blockIdx.y * (long long)width;      \
    const int numbers = 3 + (states);                                    \
    scalar_t* p = ARRAY(0);                                              \
    const scalar_t* gradient = ARRAY(1);                                 \
    const long long count = cells[2 + (states)];
#define ARRAY(i) reinterpret_cast<scalar_t*>(cells[i])
#define NUMBER(i) scalar_t(__longlong_as_double(cells[numbers + (i)]))

// g += weight_decay p;  buf = momentum buf + rest g, rest = 1 - dampening (buf = g in the first step);
// p -= lr (g + momentum buf) with Nesterov's momentum, lr buf with plain momentum, lr g without.
extern "C" __global__ void sgd(const long long* table, int width) {
    ROW(1)
    scalar_t* buf = ARRAY(2);
    scalar_t lr = NUMBER(0), momentum = NUMBER(1), rest = NUMBER(2), weight_decay = NUMBER(3);
    bool nesterov = NUMBER(4), maximize = NUMBER(5), first = NUMBER(6);
    FOR_EACH(i, count) {
        scalar_t g = maximize ? -gradient[i] : gradient[i];
        g += weight_decay * p[i];
        if (buf) {
            scalar_t b = first ? g : momentum * buf[i] + rest * g;
            buf[i] = b;
            g = nesterov ? g + momentum * b : b;
        }
        p[i] -= lr * g;
    }
}

// The gradient that an optimizer works with: turned round to maximize, and with weight decay as part of it (L2).
__device__ __forceinline__ scalar_t gradient_of(scalar_t p, scalar_t g, scalar_t weight_decay, bool maximize) {
    if (maximize) g = -g;
    return weight_decay ? g + weight_decay * p : g;
}

// In all that follows 1 - beta and the like are handed over as rest, computed in double: in float 1 - 0.999f would be off
// by 1e-5 of itself.

// g += weight_decay p;  p *= shrink;  m += (1 - beta1)(g - m);  v = beta2 v + (1 - beta2) g^2;
// p -= step_size m / (sqrt(v)/root_correction2 + eps), with vmax, the largest v so far, in the place of v if given
// (AMSGrad). Adam decays by weight_decay (shrink is 1), AdamW by shrink.
extern "C" __global__ void adamw(const long long* table, int width) {
    ROW(3)
    scalar_t *m = ARRAY(2), *v = ARRAY(3), *vmax = ARRAY(4);
    scalar_t shrink = NUMBER(0), weight_decay = NUMBER(1), rest1 = NUMBER(2), beta2 = NUMBER(3), rest2 = NUMBER(4);
    scalar_t step_size = NUMBER(5), root_correction2 = NUMBER(6), eps = NUMBER(7);
    bool maximize = NUMBER(8);
    FOR_EACH(i, count) {
        scalar_t g = gradient_of(p[i], gradient[i], weight_decay, maximize);
        scalar_t first = m[i] + rest1 * (g - m[i]);
        scalar_t second = beta2 * v[i] + rest2 * g * g;
        m[i] = first;
        v[i] = second;
        if (vmax) second = vmax[i] = second < vmax[i] ? vmax[i] : second;
        p[i] = shrink * p[i] - step_size * first / (sqrt(second) / root_correction2 + eps);
    }
}

// g += weight_decay p;  p *= shrink;  m += (1 - beta1)(g - m);  v = beta2 v + (1 - beta2) g^2;
// p -= (size_g g + size_m m) / (sqrt(v/correction) + eps).
extern "C" __global__ void nadam(const long long* table, int width) {
    ROW(2)
    scalar_t *m = ARRAY(2), *v = ARRAY(3);
    scalar_t size_g = NUMBER(0), size_m = NUMBER(1), shrink = NUMBER(2), correction = NUMBER(3), rest1 = NUMBER(4);
    scalar_t beta2 = NUMBER(5), rest2 = NUMBER(6), eps = NUMBER(7), weight_decay = NUMBER(8);
    bool maximize = NUMBER(9);
    FOR_EACH(i, count) {
        scalar_t g = gradient_of(p[i], gradient[i], weight_decay, maximize);
        scalar_t first = m[i] + rest1 * (g - m[i]);
        scalar_t second = beta2 * v[i] + rest2 * g * g;
        m[i] = first;
        v[i] = second;
        p[i] = shrink * p[i] - (size_g * g + size_m * first) / (sqrt(second / correction) + eps);
    }
}

// g += weight_decay p;  m += (1 - beta1)(g - m);  u = max(beta2 u, |g| + eps);  p -= step_size m / u.
extern "C" __global__ void adamax(const long long* table, int width) {
    ROW(2)
    scalar_t *m = ARRAY(2), *u = ARRAY(3);
    scalar_t step_size = NUMBER(0), rest1 = NUMBER(1), beta2 = NUMBER(2), eps = NUMBER(3), weight_decay = NUMBER(4);
    bool maximize = NUMBER(5);
    FOR_EACH(i, count) {
        scalar_t g = gradient_of(p[i], gradient[i], weight_decay, maximize);
        scalar_t first = m[i] + rest1 * (g - m[i]);
        scalar_t now = fabs(g) + eps, before = beta2 * u[i];
        scalar_t largest = before > now ? before : now;
        m[i] = first;
        u[i] = largest;
        p[i] -= step_size * first / largest;
    }
}

// g += weight_decay p;  v = alpha v + (1 - alpha) g^2;  mean += (1 - alpha)(g - mean);  d = g / (sqrt(v - mean^2) + eps);
// buf = momentum buf + d;  p -= lr buf. mean is null if not centered, buf without momentum.
extern "C" __global__ void rmsprop(const long long* table, int width) {
    ROW(3)
    scalar_t *v = ARRAY(2), *mean = ARRAY(3), *buf = ARRAY(4);
    scalar_t lr = NUMBER(0), alpha = NUMBER(1), rest = NUMBER(2), eps = NUMBER(3), weight_decay = NUMBER(4);
    scalar_t momentum = NUMBER(5);
    bool maximize = NUMBER(6);
    FOR_EACH(i, count) {
        scalar_t g = gradient_of(p[i], gradient[i], weight_decay, maximize);
        scalar_t second = v[i] = alpha * v[i] + rest * g * g;
        if (mean) {
            scalar_t first = mean[i] = mean[i] + rest * (g - mean[i]);
            second -= first * first;
        }
        scalar_t d = g / (sqrt(second) + eps);
        if (buf) d = buf[i] = momentum * buf[i] + d;
        p[i] -= lr * d;
    }
}

// g += weight_decay p;  total += g^2;  p -= lr g / (sqrt(total) + eps).
extern "C" __global__ void adagrad(const long long* table, int width) {
    ROW(1)
    scalar_t *total = ARRAY(2), lr = NUMBER(0), eps = NUMBER(1), weight_decay = NUMBER(2);
    bool maximize = NUMBER(3);
    FOR_EACH(i, count) {
        scalar_t g = gradient_of(p[i], gradient[i], weight_decay, maximize);
        scalar_t sum = total[i] = total[i] + g * g;
        p[i] -= lr * g / (sqrt(sum) + eps);
    }
}

// g += weight_decay p;  v = rho v + (1 - rho) g^2;  d = sqrt(delta + eps) / sqrt(v + eps) g;
// delta = rho delta + (1 - rho) d^2;  p -= lr d.
extern "C" __global__ void adadelta(const long long* table, int width) {
    ROW(2)
    scalar_t *v = ARRAY(2), *delta = ARRAY(3);
    scalar_t lr = NUMBER(0), rho = NUMBER(1), rest = NUMBER(2), eps = NUMBER(3), weight_decay = NUMBER(4);
    bool maximize = NUMBER(5);
    FOR_EACH(i, count) {
        scalar_t g = gradient_of(p[i], gradient[i], weight_decay, maximize);
        scalar_t second = v[i] = rho * v[i] + rest * g * g;
        scalar_t d = sqrt(delta[i] + eps) / sqrt(second + eps) * g;
        delta[i] = rho * delta[i] + rest * d * d;
        p[i] -= lr * d;
    }
}

// The 2-norm of all arrays of the table (address, length) as one vector. Each block leaves its sum of squares in parts, one of
// gridDim.x * gridDim.y; the last one to end adds them up, in a fixed order.
extern "C" __global__ void total_norm(const long long* table, int width, double* parts, unsigned* counter, scalar_t* total) {
    const long long* cells = table + blockIdx.y * (long long)width;
    const scalar_t* x = ARRAY(0);
    double sum = 0;
    FOR_EACH(i, cells[1]) sum += double(x[i]) * double(x[i]);
    sum = block_sum(sum);
    if (threadIdx.x == 0) parts[(long long)blockIdx.y * gridDim.x + blockIdx.x] = sum;
    if (!is_last_block(counter, gridDim.x * gridDim.y)) return;
    sum = 0;
    for (unsigned i = threadIdx.x; i < gridDim.x * gridDim.y; i += blockDim.x) sum += parts[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) *total = scalar_t(sqrt(sum));
}

// The arrays of the table times min(1, largest / (total + 1e-6)).
extern "C" __global__ void clip_to(const long long* table, int width, const scalar_t* total, scalar_t largest) {
    const long long* cells = table + blockIdx.y * (long long)width;
    scalar_t *x = ARRAY(0), factor = largest / (*total + scalar_t(1e-6));
    factor = factor > 1 ? scalar_t(1) : factor;             // a NaN stays
    FOR_EACH(i, cells[1]) x[i] *= factor;
}

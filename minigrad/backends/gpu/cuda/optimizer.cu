// One optimizer step of one parameter, everything in one pass. The arrays of one call lie alike in memory.

// g += weight_decay p;  buf = momentum buf + rest g, rest = 1 - dampening (buf = g in the first step);
// p -= lr (g + momentum buf) with Nesterov's momentum, lr buf with plain momentum, lr g without.
extern "C" __global__ void sgd(scalar_t* p, const scalar_t* gradient, scalar_t* buf, long long count, scalar_t lr,
                               scalar_t momentum, scalar_t rest, scalar_t weight_decay, int nesterov, int maximize,
                               int first) {
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
__device__ __forceinline__ scalar_t gradient_of(scalar_t p, scalar_t g, scalar_t weight_decay, int maximize) {
    if (maximize) g = -g;
    return weight_decay ? g + weight_decay * p : g;
}

// In all that follows 1 - beta and the like are handed over as rest, computed in double: in float 1 - 0.999f would be off
// by 1e-5 of itself.

// g += weight_decay p;  p *= shrink;  m += (1 - beta1)(g - m);  v = beta2 v + (1 - beta2) g^2;
// p -= step_size m / (sqrt(v)/root_correction2 + eps), with vmax, the largest v so far, in the place of v if given
// (AMSGrad). Adam decays by weight_decay (shrink is 1), AdamW by shrink.
extern "C" __global__ void adamw(scalar_t* p, const scalar_t* gradient, scalar_t* m, scalar_t* v, scalar_t* vmax,
                                 long long count, scalar_t shrink, scalar_t weight_decay, scalar_t rest1,
                                 scalar_t beta2, scalar_t rest2, scalar_t step_size, scalar_t root_correction2,
                                 scalar_t eps, int maximize) {
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
extern "C" __global__ void nadam(scalar_t* p, const scalar_t* gradient, scalar_t* m, scalar_t* v, long long count,
                                 scalar_t size_g, scalar_t size_m, scalar_t shrink, scalar_t correction, scalar_t rest1,
                                 scalar_t beta2, scalar_t rest2, scalar_t eps, scalar_t weight_decay, int maximize) {
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
extern "C" __global__ void adamax(scalar_t* p, const scalar_t* gradient, scalar_t* m, scalar_t* u, long long count,
                                  scalar_t step_size, scalar_t rest1, scalar_t beta2, scalar_t eps,
                                  scalar_t weight_decay, int maximize) {
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
extern "C" __global__ void rmsprop(scalar_t* p, const scalar_t* gradient, scalar_t* v, scalar_t* mean, scalar_t* buf,
                                   long long count, scalar_t lr, scalar_t alpha, scalar_t rest, scalar_t eps,
                                   scalar_t weight_decay, scalar_t momentum, int maximize) {
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
extern "C" __global__ void adagrad(scalar_t* p, const scalar_t* gradient, scalar_t* total, long long count, scalar_t lr,
                                   scalar_t eps, scalar_t weight_decay, int maximize) {
    FOR_EACH(i, count) {
        scalar_t g = gradient_of(p[i], gradient[i], weight_decay, maximize);
        scalar_t sum = total[i] = total[i] + g * g;
        p[i] -= lr * g / (sqrt(sum) + eps);
    }
}

// g += weight_decay p;  v = rho v + (1 - rho) g^2;  d = sqrt(delta + eps) / sqrt(v + eps) g;
// delta = rho delta + (1 - rho) d^2;  p -= lr d.
extern "C" __global__ void adadelta(scalar_t* p, const scalar_t* gradient, scalar_t* v, scalar_t* delta, long long count,
                                    scalar_t lr, scalar_t rho, scalar_t rest, scalar_t eps, scalar_t weight_decay,
                                    int maximize) {
    FOR_EACH(i, count) {
        scalar_t g = gradient_of(p[i], gradient[i], weight_decay, maximize);
        scalar_t second = v[i] = rho * v[i] + rest * g * g;
        scalar_t d = sqrt(delta[i] + eps) / sqrt(second + eps) * g;
        delta[i] = rho * delta[i] + rest * d * d;
        p[i] -= lr * d;
    }
}

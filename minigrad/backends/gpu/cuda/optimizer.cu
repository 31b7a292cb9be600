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

// p *= decay;  m += (1 - beta1)(g - m);  v = beta2 v + (1 - beta2) g^2;  p -= step_size m / (sqrt(v)/root_correction2 + eps),
// with vmax, the largest v so far, in the place of v if given (AMSGrad). 1 - beta is handed over as rest, computed in
// double: in float 1 - 0.999f would be off by 1e-5 of itself.
extern "C" __global__ void adamw(scalar_t* p, const scalar_t* gradient, scalar_t* m, scalar_t* v, scalar_t* vmax,
                                 long long count, scalar_t decay, scalar_t rest1, scalar_t beta2, scalar_t rest2,
                                 scalar_t step_size, scalar_t root_correction2, scalar_t eps, int maximize) {
    FOR_EACH(i, count) {
        scalar_t g = maximize ? -gradient[i] : gradient[i];
        scalar_t first = m[i] + rest1 * (g - m[i]);
        scalar_t second = beta2 * v[i] + rest2 * g * g;
        m[i] = first;
        v[i] = second;
        if (vmax) second = vmax[i] = second < vmax[i] ? vmax[i] : second;
        p[i] = decay * p[i] - step_size * first / (sqrt(second) / root_correction2 + eps);
    }
}

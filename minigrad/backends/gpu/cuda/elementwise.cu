// ReLU, the error function, GELU. The arrays of one call lie alike in memory, whatever their layout.

extern "C" __global__ void relu(const scalar_t* x, scalar_t* y, long long count) {
    FOR_EACH(i, count) y[i] = positive_part(x[i]);
}

// gx = gy where y > 0 (or NaN), else 0.
extern "C" __global__ void relu_backward(const scalar_t* gy, const scalar_t* y, scalar_t* gx, long long count) {
    FOR_EACH(i, count) gx[i] = passes(y[i]) ? gy[i] : scalar_t(0);
}

extern "C" __global__ void erf_of(const scalar_t* x, scalar_t* y, long long count) {
    FOR_EACH(i, count) y[i] = erf(x[i]);
}

extern "C" __global__ void erfc_of(const scalar_t* x, scalar_t* y, long long count) {
    FOR_EACH(i, count) y[i] = erfc(x[i]);
}

// GELU: y = x p(x) with p(x) = Phi(x) = erfc(-x / sqrt 2) / 2, the normal distribution's probability of less than x, or
// its approximation (1 + tanh(s (x + c x^3))) / 2 with s = sqrt(2 / pi), c = 0.044715.
#define GELU_S scalar_t(0.79788456080286535588)
#define GELU_C scalar_t(0.044715)

__device__ __forceinline__ scalar_t gelu_p(scalar_t x, int approximate) {
    return scalar_t(0.5) * (approximate ? 1 + tanh(GELU_S * (x + GELU_C * x * x * x))
                                        : erfc(x * scalar_t(-0.70710678118654752440)));
}

extern "C" __global__ void gelu(const scalar_t* x, scalar_t* y, long long count, int approximate) {
    FOR_EACH(i, count) y[i] = x[i] * gelu_p(x[i], approximate);
}

// gx = gy (p + x p'), with p' = exp(-x^2 / 2) / sqrt(2 pi), or 2 p (1 - p) s (1 + 3 c x^2) for the approximation.
extern "C" __global__ void gelu_backward(const scalar_t* gy, const scalar_t* x, scalar_t* gx, long long count,
                                         int approximate) {
    FOR_EACH(i, count) {
        scalar_t v = x[i], p = gelu_p(v, approximate);
        scalar_t slope = approximate ? 2 * p * (1 - p) * GELU_S * (1 + 3 * GELU_C * v * v)
                                     : exp(scalar_t(-0.5) * v * v) * scalar_t(0.39894228040143267794);
        gx[i] = gy[i] * (p + v * slope);
    }
}

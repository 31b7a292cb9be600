// ReLU, the error function, GELU. The arrays of one call lie alike in memory, whatever their layout.

extern "C" __global__ void relu(const scalar_t* x, scalar_t* y, long long count) {
    FOR_EACH(i, count) y[i] = positive_part(x[i]);
}

// gx = gy where y > 0 (or NaN), else 0.
extern "C" __global__ void relu_backward(const scalar_t* gy, const scalar_t* y, scalar_t* gx, long long count) {
    FOR_EACH(i, count) gx[i] = passes(y[i]) ? gy[i] : scalar_t(0);
}

// The end of a convolution: y[row][g*O + o] = z[g][row][o] + bias, then ReLU if asked for. z may be y itself if G = 1.
extern "C" __global__ void bias_relu(const scalar_t* z, const scalar_t* bias, scalar_t* y, long long rows, int G, int O,
                                     int relu) {
    FOR_EACH(i, rows * G * O) {
        int channel = int(i % (G * O));
        long long row = i / (G * O);
        scalar_t value = z[(channel / O * rows + row) * O + channel % O];
        if (bias) value += bias[channel];
        y[i] = relu ? positive_part(value) : value;
    }
}

// The way back into groups: z[g][row][o] = gy[row][g*O + o].
extern "C" __global__ void split_groups(const scalar_t* gy, scalar_t* z, long long rows, int G, int O) {
    FOR_EACH(i, rows * G * O) {
        long long row = i / O % rows;
        int group = int(i / O / rows);
        z[i] = gy[(row * G + group) * O + i % O];
    }
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

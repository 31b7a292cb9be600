// ReLU. The arrays of one call lie alike in memory, whatever their layout.

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

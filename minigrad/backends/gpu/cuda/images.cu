// Batches of images as bytes, (N, H, W, C), made into what a network sees:  x = (v - shift[c]) scale[c],  channel by channel.
//
// The naive form normalises on the host, and brings four bytes a number over the bus; here one is. Traffic: a byte in, a number
// out; the limit is memory. Subtraction and product are rounded one by one, as on the host: the numbers are the same.

extern "C" __global__ void normalize_bytes(const unsigned char* images, const float* shift, const float* scale, scalar_t* out,
                                           long long count, int C) {
    FOR_EACH(i, count) {
        int c = int(i % C);
        out[i] = (scalar_t(images[i]) - scalar_t(shift[c])) * scalar_t(scale[c]);
    }
}

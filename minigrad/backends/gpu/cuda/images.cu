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

// ---- images that lie in memory, augmented -----------------------------------------------------------------------------
// Each image of a batch has a place, FIELDS numbers (minigrad/data/resident.py). What comes out are the pixels of Pillow on the
// host, to the bit: its bilinear rotation in double precision, cut off to a byte; its resize in two passes with a byte between them and weights of
// 22 bits. So sums and products are rounded one by one (__dmul_rn: nothing is contracted to an FMA).
//
// The naive form has a kernel and an array a step (mirror, colour, rotation, crop, two passes of the resize). Here a pixel of the turned
// image is made where a pass reads it, some five times over; one array of bytes is between the passes. The limit is arithmetic
// in double precision, where a GPU has little of it, else the launch.

// The order is the one in resident.py.
enum { OFFSET, WIDTH, HEIGHT, MIRRORED, FACTORS, TURNED = 7, MATRIX, LEFT = 14, TOP, REGION_WIDTH, REGION_HEIGHT, TARGET_WIDTH,
       TARGET_HEIGHT, TARGET_LEFT, TARGET_TOP, COLUMNS_FIRST, FIELDS };

// Channel c of pixel (x, y) of the mirrored, coloured image.
__device__ int pixel_of(const unsigned char* bytes, const double* place, int x, int y, int c, int C) {
    int width = int(place[WIDTH]);
    if (place[MIRRORED] != 0) x = width - 1 - x;
    int v = bytes[(long long)place[OFFSET] + ((long long)y * width + x) * C + c];
    return int(fmin(255.0, rint(__dmul_rn(double(v), place[FACTORS + c]))));
}

__device__ double between(int a, int b, double share) { return __dadd_rn(a, __dmul_rn(b - a, share)); }

// The same of the turned image: black outside of it.
__device__ int turned_pixel(const unsigned char* bytes, const double* place, int x, int y, int c, int C) {
    if (place[TURNED] == 0) return pixel_of(bytes, place, x, y, c, C);
    const double* m = place + MATRIX;
    double u = __dadd_rn(__dadd_rn(__dmul_rn(m[0], x + 0.5), __dmul_rn(m[1], y + 0.5)), m[2]);
    double v = __dadd_rn(__dadd_rn(__dmul_rn(m[3], x + 0.5), __dmul_rn(m[4], y + 0.5)), m[5]);
    int width = int(place[WIDTH]), height = int(place[HEIGHT]);
    if (!(u >= 0 && u < width && v >= 0 && v < height)) return 0;
    u -= 0.5;
    v -= 0.5;
    int left = int(floor(u)), top = int(floor(v)), x0 = max(left, 0), x1 = min(left + 1, width - 1), y0 = max(top, 0);
    double upper = between(pixel_of(bytes, place, x0, y0, c, C), pixel_of(bytes, place, x1, y0, c, C), u - left), lower = upper;
    if (top + 1 < height)
        lower = between(pixel_of(bytes, place, x0, top + 1, c, C), pixel_of(bytes, place, x1, top + 1, c, C), u - left);
    return int(__dadd_rn(upper, __dmul_rn(__dadd_rn(lower, -upper), v - top)));
}

// The pixels of `size` that one of `target` pixels is made of, and their weights: a triangle, as wide as a pixel of the result.
struct Taps { int first, count; double centre, inverse, total; };

__device__ double weight_of(const Taps& taps, int k) {
    double distance = fabs(__dmul_rn(__dadd_rn(__dadd_rn(k + taps.first, -taps.centre), 0.5), taps.inverse));
    return distance < 1 ? 1 - distance : 0.0;
}

__device__ Taps taps_of(int size, int target, int at) {
    double scale = double(size) / target, support = fmax(scale, 1.0);
    Taps taps;
    taps.centre = __dmul_rn(at + 0.5, scale);
    taps.inverse = 1.0 / support;
    taps.first = max(0, int(__dadd_rn(__dadd_rn(taps.centre, -support), 0.5)));
    taps.count = min(size, int(__dadd_rn(__dadd_rn(taps.centre, support), 0.5))) - taps.first;
    taps.total = 0;
    for (int k = 0; k < taps.count; k++) taps.total += weight_of(taps, k);
    return taps;
}

#define BITS 22
__device__ int weight_in_bits(const Taps& taps, int k) {
    double share = taps.total != 0 ? weight_of(taps, k) / taps.total : weight_of(taps, k);
    return int(__dadd_rn(0.5, __dmul_rn(share, double(1 << BITS))));
}

__device__ int to_byte(int sum) { return min(max(sum >> BITS, 0), 255); }

// The taps along the region's rows, or its columns, of a number of the result.
__device__ Taps taps_along(bool columns, const double* place, int at) {
    return taps_of(int(place[REGION_WIDTH + columns]), int(place[TARGET_WIDTH + columns]), at + int(place[TARGET_LEFT + columns]));
}

// The first pass, along the region's rows, or its columns where Pillow begins with them: (N, LINES, S, C), of each line across that pass
// the resized one. An image has as many lines as its region.
extern "C" __global__ void resize_lines(const unsigned char* bytes, const double* places, unsigned char* out, long long count,
                                        int LINES, int S, int C) {
    FOR_EACH(i, count) {
        Place at = place_of(i, LINES, S, C);
        const double* place = places + (long long)at.n * FIELDS;
        bool columns = place[COLUMNS_FIRST] != 0;
        if (at.h >= int(place[columns ? REGION_WIDTH : REGION_HEIGHT])) continue;
        Taps taps = taps_along(columns, place, at.w);
        int sum = 1 << (BITS - 1), left = int(place[LEFT]), top = int(place[TOP]);
        for (int k = taps.first; k < taps.first + taps.count; k++) {
            int x = left + (columns ? at.h : k), y = top + (columns ? k : at.h);
            sum += weight_in_bits(taps, k - taps.first) * turned_pixel(bytes, place, x, y, at.c, C);
        }
        out[i] = to_byte(sum);
    }
}

// The second pass, across the first one's lines, and normalised: (N, S, S, C).
extern "C" __global__ void resize_across(const unsigned char* lines, const double* places, const float* shift,
                                         const float* scale, scalar_t* out, long long count, int LINES, int S, int C) {
    FOR_EACH(i, count) {
        Place at = place_of(i, S, S, C);
        const double* place = places + (long long)at.n * FIELDS;
        bool columns = place[COLUMNS_FIRST] != 0;
        Taps taps = taps_along(!columns, place, columns ? at.w : at.h);
        int sum = 1 << (BITS - 1), along = columns ? at.h : at.w;
        for (int k = 0; k < taps.count; k++)
            sum += weight_in_bits(taps, k) * lines[offset_of(at.n, taps.first + k, along, at.c, LINES, S, C)];
        out[i] = (scalar_t(to_byte(sum)) - scalar_t(shift[at.c])) * scalar_t(scale[at.c]);
    }
}

// Where nothing is turned or resized: the region as it is, normalised. (N, S, S, C)
extern "C" __global__ void cut_images(const unsigned char* bytes, const double* places, const float* shift, const float* scale,
                                      scalar_t* out, long long count, int S, int C) {
    FOR_EACH(i, count) {
        Place at = place_of(i, S, S, C);
        const double* place = places + (long long)at.n * FIELDS;
        int v = pixel_of(bytes, place, int(place[LEFT]) + at.w, int(place[TOP]) + at.h, at.c, C);
        out[i] = (scalar_t(v) - scalar_t(shift[at.c])) * scalar_t(scale[at.c]);
    }
}

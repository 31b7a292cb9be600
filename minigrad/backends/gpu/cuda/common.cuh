// Put before every .cu file of this folder. scalar_t (float or double) is set by the compiler's -D option.
// Images are channels-last: element (n, c, h, w) lies at ((n*H + h)*W + w)*C + c.

// One thread an element, and on to the next grid's worth: right for any size and any grid.
#define FOR_EACH(i, count)                                                           \
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < (count); \
         i += (long long)gridDim.x * blockDim.x)

#define NEGATIVE_INFINITY scalar_t(__longlong_as_double(0xfff0000000000000ll))
#define NOT_A_NUMBER scalar_t(__longlong_as_double(0x7ff8000000000000ll))

// Image, row, column and channel of element i of an (N, H, W, C) array.
struct Place { int n, h, w, c; };

__device__ __forceinline__ Place place_of(long long i, int H, int W, int C) {
    Place p;
    p.c = int(i % C);
    i /= C;
    p.w = int(i % W);
    i /= W;
    p.h = int(i % H);
    p.n = int(i / H);
    return p;
}

__device__ __forceinline__ long long offset_of(int n, int h, int w, int c, int H, int W, int C) {
    return (((long long)n * H + h) * W + w) * C + c;
}

// max(x, 0) that keeps a NaN.
__device__ __forceinline__ scalar_t positive_part(scalar_t x) { return x <= 0 ? scalar_t(0) : x; }

// Whether a gradient passes back through y = positive_part(x): where y > 0, and where it is NaN, as in torch.
__device__ __forceinline__ bool passes(scalar_t y) { return !(y <= 0); }

// Sums over the rows of a matrix: blocks of COLUMNS x ROW_THREADS threads, threadIdx.x a column, threadIdx.y one of the
// threads that share that column's rows.
#define COLUMNS 32
#define ROW_THREADS 8

// The sum of `value` over threadIdx.y, for every column, known to all threads.
__device__ double column_sum(double value) {
    __shared__ double sums[ROW_THREADS][COLUMNS];
    __syncthreads();                                        // the last sum has been read by all
    sums[threadIdx.y][threadIdx.x] = value;
    __syncthreads();
    double total = 0;
    for (int i = 0; i < ROW_THREADS; i++) total += sums[i][threadIdx.x];
    return total;
}

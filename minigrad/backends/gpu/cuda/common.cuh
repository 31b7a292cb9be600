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

#define ALL_LANES 0xffffffffu
#define MAX_WARPS 32

// The sum of `value` over the block (of a multiple of 32 threads along x), known to all of them. The order is fixed.
__device__ double block_sum(double value) {
    __shared__ double warps[MAX_WARPS];
    int thread = threadIdx.y * blockDim.x + threadIdx.x, count = blockDim.x * blockDim.y / 32;
    for (int bit = 16; bit > 0; bit /= 2) value += __shfl_xor_sync(ALL_LANES, value, bit);
    __syncthreads();                                        // the last sum has been read by all
    if (thread % 32 == 0) warps[thread / 32] = value;
    __syncthreads();
    value = warps[0];
    for (int i = 1; i < count; i++) value += warps[i];
    return value;
}

// Whether this block is the last of so many to get here: it sees what all the others have written before. It puts the counter
// back to 0. So partial sums are added up in the launch that made them, in an order that does not depend on who came last.
__device__ bool is_last_block(unsigned* counter, unsigned blocks) {
    __shared__ bool last;
    __threadfence();                                        // what this thread has written can be read by all
    __syncthreads();
    if (threadIdx.x == 0 && threadIdx.y == 0) {
        last = atomicAdd(counter, 1u) == blocks - 1;
        if (last) *counter = 0;
    }
    __syncthreads();
    if (last) __threadfence();
    return last;
}

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

// The sum over the chunks of what they left for column c, known to all threads of the column.
__device__ double sum_of_chunks(const double* chunk_sums, int chunks, int C, int c) {
    double sum = 0;
    if (c < C)
        for (int i = threadIdx.y; i < chunks; i += ROW_THREADS) sum += chunk_sums[(long long)i * C + c];
    return column_sum(sum);
}

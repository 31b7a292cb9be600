// Products of tiles in shared memory: what convolution.cu and products.cu are made of.
//
// A block of 256 threads has a tile of 64 x 64 results. It walks along the sum 16 steps at a time: all threads bring 16 x 64
// numbers of both operands into shared memory (LOADS each), then multiply. So each number serves 64 products.
//
// They multiply in one of three ways, by the option TF32: 0, fused multiply-adds, 4 x 4 results a thread (double, or no tensor
// cores); 1, tensor cores (mma.sync m16n8k8) on numbers rounded to TF32, 10 bits; 3, tensor cores on both halves of each
// number, x = hi + lo, as hi hi + hi lo + lo hi, which is float32's accuracy at a third of the rate (as CUTLASS's 3xTF32).
// A warp has 16 x 32 results then. Each 16 steps are added up by themselves first: long sums round less.

#define TILE 64
#define DEPTH 16
#define THREADS 256
#define PITCH (TILE + 8)                                    // lines of a tile start 8 banks apart: fragments read without conflict
#define RESULTS 16                                          // of a thread: TILE * TILE / THREADS
#define LOADS 4                                             // of a thread, of each operand: TILE * DEPTH / THREADS

struct alignas(16) Tile { scalar_t value[DEPTH][PITCH]; };
struct alignas(4 * sizeof(scalar_t)) Four { scalar_t value[4]; };

// ---- the products of two tiles ---------------------------------------------------------------------------------------------
#if TF32
#ifdef CUDA_ON_CPU
using cuda_on_cpu::to_tf32;
using cuda_on_cpu::multiply_fragments;
#else
__device__ __forceinline__ float to_tf32(float x) {
    unsigned bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
    return __uint_as_float(bits);
}
__device__ __forceinline__ void multiply_fragments(float* c, const float* a, const float* b) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(__float_as_uint(a[0])), "r"(__float_as_uint(a[1])), "r"(__float_as_uint(a[2])), "r"(__float_as_uint(a[3])),
          "r"(__float_as_uint(b[0])), "r"(__float_as_uint(b[1])));
}
#endif
// The fragments of a warp's lane: a 16 x 8, b 8 x 8, c 16 x 8, as PTX's manual draws them.
__device__ __forceinline__ int row_of(int e) {
    return threadIdx.x / 64 * 16 + threadIdx.x % 32 / 4 + e % 4 / 2 * 8;
}
__device__ __forceinline__ int column_of(int e) {
    return threadIdx.x / 32 % 2 * 32 + e / 4 * 8 + threadIdx.x % 4 * 2 + e % 2;
}
__device__ void multiply(const Tile& a, const Tile& b, scalar_t* sums) {
    int row = threadIdx.x / 64 * 16 + threadIdx.x % 32 / 4, column = threadIdx.x / 32 % 2 * 32 + threadIdx.x % 32 / 4;
    float some[RESULTS] = {};
    for (int k = threadIdx.x % 4; k < DEPTH; k += 8) {
        float x[4] = {a.value[k][row], a.value[k][row + 8], a.value[k + 4][row], a.value[k + 4][row + 8]};
#if TF32 == 3
        float low[4];
        for (int i = 0; i < 4; i++) low[i] = to_tf32(x[i] - to_tf32(x[i]));
#endif
        for (int i = 0; i < 4; i++) x[i] = to_tf32(x[i]);
#pragma unroll
        for (int j = 0; j < 4; j++) {
            float y[2] = {b.value[k][column + 8 * j], b.value[k + 4][column + 8 * j]};
            float high[2] = {to_tf32(y[0]), to_tf32(y[1])};
#if TF32 == 3
            float rest[2] = {to_tf32(y[0] - high[0]), to_tf32(y[1] - high[1])};
            multiply_fragments(some + 4 * j, low, high);
            multiply_fragments(some + 4 * j, x, rest);
#endif
            multiply_fragments(some + 4 * j, x, high);
        }
    }
#pragma unroll
    for (int e = 0; e < RESULTS; e++) sums[e] += some[e];
}
#else
__device__ __forceinline__ int row_of(int e) { return threadIdx.x / 16 * 4 + e / 4; }
__device__ __forceinline__ int column_of(int e) { return threadIdx.x % 16 * 4 + e % 4; }
__device__ void multiply(const Tile& a, const Tile& b, scalar_t* sums) {
    int row = threadIdx.x / 16 * 4, column = threadIdx.x % 16 * 4;
    scalar_t some[RESULTS] = {};
#pragma unroll
    for (int k = 0; k < DEPTH; k++) {
        Four x = *reinterpret_cast<const Four*>(&a.value[k][row]), y = *reinterpret_cast<const Four*>(&b.value[k][column]);
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
            for (int j = 0; j < 4; j++) some[4 * i + j] += x.value[i] * y.value[j];
    }
#pragma unroll
    for (int e = 0; e < RESULTS; e++) sums[e] += some[e];
}
#endif

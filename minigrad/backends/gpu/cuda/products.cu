// Products of matrices, batches of them, wherever they lie: c = a b + bias.
//
// The naive form, cuBLAS by way of CuPy, copies operands that do not lie as it wants them, makes a temporary to add a product to
// what is there, and cannot be captured. Here both operands are read by their strides, so a transposed or sliced one costs
// nothing, and the bias is added on the way out. How tiles are multiplied is in tiles.cuh; blockIdx is a tile of rows, a tile
// of columns, a matrix of the batch (two axes, the first of any stride).
//
// Traffic: a is read N / 64 times and b M / 64 times, mostly from L2, c is written once. The limit is the rate of products for
// K of about 200 and more, memory below.

#include "tiles.cuh"

// A tile of an operand: `length` numbers along its long side from `first` on, DEPTH along the sum from k0 on; threads go along
// whichever is contiguous.
__device__ __forceinline__ void bring(const scalar_t* x, long long along, long long deep, int first, int length, int k0, int K,
                                      Tile& tile) {
#pragma unroll
    for (int i = 0; i < LOADS; i++) {
        int depth, line;
        if (deep == 1) {
            depth = threadIdx.x % DEPTH;
            line = threadIdx.x / DEPTH + i * (THREADS / DEPTH);
        } else {
            depth = threadIdx.x / TILE + i * (THREADS / TILE);
            line = threadIdx.x % TILE;
        }
        bool inside = first + line < length && k0 + depth < K;
        tile.value[depth][line] = inside ? x[(first + line) * along + (k0 + depth) * deep] : scalar_t(0);
    }
}

// c (batches, M, N), contiguous, of a (.., M, K) and b (.., K, N); bias (N) or null.
extern "C" __global__ void __launch_bounds__(THREADS) product(
    const scalar_t* a, const scalar_t* b, const scalar_t* bias, scalar_t* c, int M, int N, int K, int inner, long long a_row,
    long long a_column, long long a_outer, long long a_inner, long long b_row, long long b_column, long long b_outer,
    long long b_inner) {
    __shared__ Tile left, right;
    int first_row = blockIdx.x * TILE, first_column = blockIdx.y * TILE;
    a += blockIdx.z / inner * a_outer + blockIdx.z % inner * a_inner;
    b += blockIdx.z / inner * b_outer + blockIdx.z % inner * b_inner;
    scalar_t sums[RESULTS] = {};
    for (int k0 = 0; k0 < K; k0 += DEPTH) {
        bring(a, a_row, a_column, first_row, M, k0, K, left);
        bring(b, b_column, b_row, first_column, N, k0, K, right);
        __syncthreads();
        multiply(left, right, sums);
        __syncthreads();
    }
#pragma unroll
    for (int e = 0; e < RESULTS; e++) {
        int row = first_row + row_of(e), column = first_column + column_of(e);
        if (row >= M || column >= N) continue;
        c[((long long)blockIdx.z * M + row) * N + column] = bias ? sums[e] + bias[column] : sums[e];
    }
}

// Scaled dot-product attention over short rows (S at most 128 keys): all of it in one launch, its gradients in another.
//
//     p = softmax(q k^T scale + mask) over the keys,   y = (p dropped) v,   lse = log sum exp
//     gp = (gy v^T) dropped,   gs = p (gp - sum gp p),   gq = gs k scale,   gk = gs^T q scale,   gv = (p dropped)^T gy
//
// The naive form is a product, a scaling, a mask, five launches of softmax, a product: the scores go through memory at each.
// Here a warp has a query: lane j has the scores of keys j, j + 32, j + 64, j + 96 in registers, softmax is shuffles, and then
// lane f gathers feature f, f + 32, ... of y, the probabilities in shared memory. Keys and values of one (batch, head) are read again by each query, from L1: they
// are some kilobytes. For the gradients a block has a (batch, head); its warps leave gs and p dropped of all queries in
// `scratch` (which stays in L2), and after a barrier gather gq by queries, gk and gv by keys: no atomics, the same sums in
// every run. Traffic: q, k, v once, y once; gradients twice that, and the scratch. The limit is latency and L1; longer rows
// want tiles in shared memory (FlashAttention: Dao et al. 2022).
//
// Arrays come with their strides in elements (batch, head, row), features are contiguous: queries, keys and values may be
// slices of one matrix. A query that may look nowhere has y = 0 and lse = inf.

#define WARPS 8
#define OF_LANE 4                                           // keys of a lane: 128 / 32
#define EVERY_KEY(j, i) for (int i = 0, j = threadIdx.x % 32; i < OF_LANE && j < S; i++, j += 32)

struct Look {                                               // mask or what dropout left: bools or numbers, of (B, H, L, S)
    const bool* bools;
    const scalar_t* numbers;
    long long b, h, l, s;
};
__device__ __forceinline__ long long place_in(const Look& look, int batch, int head, int row, int key) {
    return batch * look.b + head * look.h + row * look.l + key * look.s;
}
#define ROWS(x) const scalar_t *x, long long x##_b, long long x##_h, long long x##_l
#define STRIDES(x) long long x##_b, long long x##_h, long long x##_l
#define ROW_OF(x, row) (x + batch * x##_b + head * x##_h + (row) * x##_l)
#define LOOK(x) const bool *x##_bools, const scalar_t *x##_numbers, long long x##_b, long long x##_h, long long x##_l, long long x##_s
#define LOOK_GIVEN(x) {x##_bools, x##_numbers, x##_b, x##_h, x##_l, x##_s}

template <bool MAXIMUM> __device__ scalar_t over_warp(scalar_t value) {
    for (int bit = 16; bit > 0; bit /= 2) {
        scalar_t other = __shfl_xor_sync(ALL_LANES, value, bit);
        value = MAXIMUM ? (value < other ? other : value) : value + other;
    }
    return value;
}

__device__ __forceinline__ scalar_t dot(const scalar_t* x, const scalar_t* y, int count) {
    scalar_t sum = 0;
    for (int i = 0; i < count; i++) sum += x[i] * y[i];
    return sum;
}

// The factor of dropout, 1 without it.
__device__ __forceinline__ scalar_t factor(const Look& dropped, int batch, int head, int row, int key) {
    if (dropped.bools) return dropped.bools[place_in(dropped, batch, head, row, key)] ? scalar_t(1) : scalar_t(0);
    return dropped.numbers ? dropped.numbers[place_in(dropped, batch, head, row, key)] : scalar_t(1);
}

// The score of a query for a key.
__device__ __forceinline__ scalar_t score(const scalar_t* query, const scalar_t* key, int E, scalar_t scale, const Look& mask,
                                          int causal, int batch, int head, int row, int j) {
    if ((causal && j > row) || (mask.bools && !mask.bools[place_in(mask, batch, head, row, j)])) return NEGATIVE_INFINITY;
    scalar_t value = 0;
    for (int e = 0; e < E; e++) value += query[e] * scale * key[e];
    return mask.numbers ? value + mask.numbers[place_in(mask, batch, head, row, j)] : value;
}

// A warp's softmax of the scores that its lanes hold: probabilities in their place, 0 where the query may look nowhere.
// Returns log sum exp, inf there. The gradients make it again in this way: exp(score - lse) would round lse's own size.
__device__ scalar_t softmax(scalar_t* values, int S) {
    scalar_t largest = NEGATIVE_INFINITY, sum = 0;
    EVERY_KEY(j, i) largest = largest < values[i] ? values[i] : largest;
    largest = over_warp<true>(largest);
    if (largest == NEGATIVE_INFINITY) largest = 0;
    EVERY_KEY(j, i) sum += values[i] = exp(values[i] - largest);
    sum = over_warp<false>(sum);
    EVERY_KEY(j, i) values[i] = sum == 0 ? scalar_t(0) : values[i] / sum;
    return sum == 0 ? -NEGATIVE_INFINITY : largest + log(sum);
}

// y (B, L, H, F) and lse (B, H, L) contiguous; p (B, H, L, S) or null. blockIdx: (batch, head), WARPS queries.
extern "C" __global__ void attention(ROWS(q), ROWS(k), ROWS(v), LOOK(mask), LOOK(dropped), scalar_t* y, scalar_t* p,
                                     scalar_t* lse, int H, int L, int S, int E, int F, scalar_t scale, int causal) {
    int row = blockIdx.y * WARPS + threadIdx.x / 32, head = blockIdx.x % H, batch = blockIdx.x / H;
    Look mask = LOOK_GIVEN(mask), dropped = LOOK_GIVEN(dropped);
    scalar_t values[OF_LANE];
    if (row >= L) return;                                   // all lanes of a warp alike
    EVERY_KEY(j, i) values[i] = score(ROW_OF(q, row), ROW_OF(k, j), E, scale, mask, causal, batch, head, row, j);
    scalar_t of_row = softmax(values, S);
    long long place = ((long long)batch * H + head) * L + row;
    EVERY_KEY(j, i) {
        if (p) p[place * S + j] = values[i];
        values[i] *= factor(dropped, batch, head, row, j);
    }
    if (threadIdx.x % 32 == 0) lse[place] = of_row;
    __shared__ scalar_t weights[WARPS][32 * OF_LANE];       // of this warp's query, for all its lanes
    scalar_t* of_query = weights[threadIdx.x / 32];
    EVERY_KEY(j, i) of_query[j] = values[i];
    __syncwarp();
    for (int f = threadIdx.x % 32; f < F; f += 32) {
        scalar_t total = 0;
        for (int j = 0; j < S; j++) total += of_query[j] * ROW_OF(v, j)[f];
        y[(((long long)batch * L + row) * H + head) * F + f] = total;
    }
}

// gq, gk, gv by their strides, null where not needed; gscores (B, H, L, S), the gradient of a float mask, and `weights`, both
// scratch of that shape. p or null. blockIdx: (batch, head).
extern "C" __global__ void attention_backward(ROWS(gy), ROWS(q), ROWS(k), ROWS(v), LOOK(mask), LOOK(dropped), const scalar_t* p,
                                              scalar_t* gq, scalar_t* gk, scalar_t* gv, STRIDES(gq),
                                              STRIDES(gk), STRIDES(gv),
                                              scalar_t* gscores, scalar_t* weights, int H, int L, int S, int E, int F,
                                              scalar_t scale, int causal) {
    int head = blockIdx.x % H, batch = blockIdx.x / H, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    Look mask = LOOK_GIVEN(mask), dropped = LOOK_GIVEN(dropped);
    scalar_t* scores_of = gscores + ((long long)batch * H + head) * L * S;
    scalar_t* weights_of = weights + ((long long)batch * H + head) * L * S;
    for (int row = warp; row < L; row += WARPS) {
        long long place = ((long long)batch * H + head) * L + row;
        scalar_t chance[OF_LANE], slope[OF_LANE], sum = 0;
        EVERY_KEY(j, i) chance[i] = p ? p[place * S + j]
                                      : score(ROW_OF(q, row), ROW_OF(k, j), E, scale, mask, causal, batch, head, row, j);
        if (!p) softmax(chance, S);
        EVERY_KEY(j, i) {
            scalar_t kept = factor(dropped, batch, head, row, j);
            slope[i] = dot(ROW_OF(gy, row), ROW_OF(v, j), F) * kept;
            sum += chance[i] * slope[i];
            weights_of[(long long)row * S + j] = chance[i] * kept;
        }
        sum = over_warp<false>(sum);
        EVERY_KEY(j, i) scores_of[(long long)row * S + j] = chance[i] * (slope[i] - sum);
    }
    __syncthreads();
    for (int row = warp; gq && row < L; row += WARPS)
        for (int e = lane; e < E; e += 32) {
            scalar_t total = 0;
            for (int j = 0; j < S; j++) total += scores_of[(long long)row * S + j] * ROW_OF(k, j)[e];
            gq[batch * gq_b + head * gq_h + row * gq_l + e] = total * scale;
        }
    for (int j = warp; gk && j < S; j += WARPS)
        for (int e = lane; e < E; e += 32) {
            scalar_t total = 0;
            for (int row = 0; row < L; row++) total += scores_of[(long long)row * S + j] * ROW_OF(q, row)[e];
            gk[batch * gk_b + head * gk_h + j * gk_l + e] = total * scale;
        }
    for (int j = warp; gv && j < S; j += WARPS)
        for (int f = lane; f < F; f += 32) {
            scalar_t total = 0;
            for (int row = 0; row < L; row++) total += weights_of[(long long)row * S + j] * ROW_OF(gy, row)[f];
            gv[batch * gv_b + head * gv_h + j * gv_l + f] = total;
        }
}

// Raise the flag (found, the index, which check it is) if one of `count` indices is neither in low ... high - 1 nor `ignore`.
// It stays as the first kernel that finds one has raised it.
extern "C" __global__ void check_indices(const long long* index, long long count, long long low, long long high,
                                         long long ignore, long long number, long long* flag) {
    FOR_EACH(i, count) {
        long long k = index[i];
        if ((k >= low && k < high) || k == ignore || flag[0]) continue;
        flag[1] = k;
        flag[2] = number;
        flag[0] = 1;
    }
}

// Adding rows of values where an index says, repeats counted, without atomics: the same sum in every run.

// The index has been sorted: place[i] is the i-th row's target, in rising order, order[i] its place in `values`. The thread
// that stands at the first of equal targets adds up all of them. rows of D numbers.
extern "C" __global__ void add_sorted_rows(const long long* place, const long long* order, const scalar_t* values,
                                           scalar_t* out, long long count, long long D) {
    FOR_EACH(k, count * D) {
        long long i = k / D, d = k % D, target = place[i];
        if (i > 0 && place[i - 1] == target) continue;
        scalar_t sum = 0;
        for (long long j = i; j < count && place[j] == target; j++) sum += values[order[j] * D + d];
        out[target * D + d] = sum;
    }
}

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

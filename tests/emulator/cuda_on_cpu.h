// CUDA C++ compiled as host C++: what the kernels of this project need, and no more.
//
// A block's threads are fibers (user-space threads) of one operating-system thread, run one at a time from barrier to
// barrier in an order that the caller picks. That makes a run repeatable, makes a missing barrier visible (another order
// gives another answer), and lets a wrong use of a barrier be reported with its line instead of hanging or being silently
// undefined as on a device.
#pragma once
#define CUDA_ON_CPU 1
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <type_traits>
#include <utility>
#if !defined(__x86_64__) || defined(CUDA_ON_CPU_UCONTEXT)
#include <ucontext.h>
#endif

// ---- the keywords of CUDA C++ ------------------------------------------------------------------------------------------
#define __global__
#define __device__ static
#define __host__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
// Shared variables lie together in one section, so that every block can start with them full of NaN, not of the last
// block's values.
#define __shared__ static __attribute__((section("cuda_shared")))
// Dynamic shared memory: `extern __shared__ float values[]` is rewritten to this by cuda_on_cpu.py.
#define CUDA_ON_CPU_DYNAMIC_SHARED(type, name) type* name = reinterpret_cast<type*>(cuda_on_cpu::dynamic_shared)

using std::abs; using std::ceil; using std::fabs; using std::floor; using std::fma; using std::fmax; using std::fmin;
using std::isinf; using std::isnan; using std::pow; using std::rint; using std::sqrt;

// Functions of single precision err by as many units in the last place as CUDA's do by its Programming Guide: each result is
// moved from the rounded one as its bits have it, unless it is exact (arithmetic.py does the same for CuPy's functions).
template <int ULP> static inline float erring(double exact) {
    float rounded = float(exact), moved;
    if (double(rounded) == exact || !std::isfinite(rounded) || std::fabs(rounded) < 2.4e-38f) return rounded;
    int32_t bits;
    memcpy(&bits, &rounded, 4);
    bits += int32_t((uint64_t(int64_t(bits) * 2654435761ll) >> 13) % (2 * ULP + 1)) - ULP;
    memcpy(&moved, &bits, 4);
    double unit = std::nextafter(std::fabs(rounded), INFINITY) - std::fabs(rounded);
    return std::isfinite(moved) && std::fabs(moved - exact) <= ULP * unit ? moved : rounded;
}
#define CUDA_ON_CPU_ERRS(name, ulp)                                                          \
    static inline float device_##name(float x) { return erring<ulp>(std::name(double(x))); } \
    static inline double device_##name(double x) { return std::name(x); }
CUDA_ON_CPU_ERRS(exp, 1) CUDA_ON_CPU_ERRS(log, 1) CUDA_ON_CPU_ERRS(tanh, 2) CUDA_ON_CPU_ERRS(erf, 2) CUDA_ON_CPU_ERRS(erfc, 4)
#define exp device_exp
#define log device_log
#define tanh device_tanh
#define erf device_erf
#define erfc device_erfc
template <class T> static inline T min(T a, T b) { return b < a ? b : a; }
template <class T> static inline T max(T a, T b) { return a < b ? b : a; }
static inline double __longlong_as_double(long long bits) { double x; memcpy(&x, &bits, 8); return x; }
static inline double __dmul_rn(double a, double b) { return a * b; }
static inline double __dadd_rn(double a, double b) { return a + b; }
template <class T> static inline T __ldg(const T* p) { return *p; }

struct uint3 { unsigned x, y, z; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(16) double2 { double x, y; };

// The linker's names for both ends of that section; null if the source has no shared variables.
extern "C" char __start_cuda_shared[] __attribute__((weak, visibility("hidden")));
extern "C" char __stop_cuda_shared[] __attribute__((weak, visibility("hidden")));

namespace cuda_on_cpu {

enum Status { READY, AT_BLOCK_BARRIER, AT_WARP_BARRIER, ENDED };
enum Error { NONE, DIVERGENT_BARRIER, BARRIER_AFTER_EXIT, DIVERGENT_WARP };
constexpr unsigned MAX_THREADS = 1024, WARP = 32;
constexpr size_t STACK_BYTES = 64 * 1024;

#if defined(__x86_64__) && !defined(CUDA_ON_CPU_UCONTEXT)
// A fiber is its stack pointer: switching pushes the callee-saved registers on one stack and pops them from the other.
typedef void* Context;
extern "C" void cuda_on_cpu_switch(Context* from, Context to);
asm(R"(
.local cuda_on_cpu_switch
.type cuda_on_cpu_switch,@function
cuda_on_cpu_switch:
    pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
    ret
)");
static inline void switch_context(Context* from, Context* to) { cuda_on_cpu_switch(from, *to); }
static inline void make_context(Context* context, char* stack, void (*start)()) {
    void** top = reinterpret_cast<void**>(stack + STACK_BYTES - 64);
    *--top = nullptr;                               // keeps the stack aligned as after a call
    *--top = reinterpret_cast<void*>(start);
    for (int i = 0; i < 6; i++) *--top = nullptr;   // the six registers that a switch pops
    *context = top;
}
#else
typedef ucontext_t Context;                         // any other machine: slower, the same
static inline void switch_context(Context* from, Context* to) { swapcontext(from, to); }
static inline void make_context(Context* context, char* stack, void (*start)()) {
    getcontext(context);
    context->uc_stack.ss_sp = stack;
    context->uc_stack.ss_size = STACK_BYTES;
    context->uc_link = nullptr;
    makecontext(context, start, 0);
}
#endif

struct Fiber {
    Context context;
    char* stack;
    Status status;
    int line;                                       // of the barrier that it waits at
    uint3 thread;
    unsigned number;                                // threadIdx as one number
    uint64_t word;                                  // what it offers to its warp in a shuffle
};

static Fiber fibers[MAX_THREADS];
static Fiber* current;
static Context scheduler;
static uint3 block_index, block_size, grid_size;
static char* dynamic_shared;
static Error error;
static int error_line;
static void (*body)(void*);
static void* body_arguments;

static void fiber_main() {
    body(body_arguments);
    current->status = ENDED;
    switch_context(&current->context, &scheduler);  // for good
}

static void wait(Status status, int line) {
    current->status = status;
    current->line = line;
    switch_context(&current->context, &scheduler);
}

static void fail(Error what, int line) {
    if (error == NONE) { error = what; error_line = line; }
}

// All of a warp's threads must stand at the same line; then they go on together.
static bool release_warps(unsigned threads) {
    bool released = false;
    for (unsigned first = 0; first < threads; first += WARP) {
        unsigned last = min(first + WARP, threads), waiting = 0, ended = 0, at_block = 0;
        int line = 0;
        for (unsigned i = first; i < last; i++) {
            waiting += fibers[i].status == AT_WARP_BARRIER;
            ended += fibers[i].status == ENDED;
            at_block += fibers[i].status == AT_BLOCK_BARRIER;
            if (fibers[i].status == AT_WARP_BARRIER) line = fibers[i].line;
        }
        if (!waiting) continue;
        if (ended || at_block) return fail(DIVERGENT_WARP, line), false;
        for (unsigned i = first; i < last; i++) {
            if (fibers[i].line != line) return fail(DIVERGENT_WARP, line), false;
            fibers[i].status = READY;
        }
        released = true;
    }
    return released;
}

// Every thread of the block must stand at the same __syncthreads(); a thread that has left the kernel never comes.
static void release_block(unsigned threads) {
    int line = 0;
    for (unsigned i = 0; i < threads; i++)
        if (fibers[i].status == AT_BLOCK_BARRIER) line = fibers[i].line;
    for (unsigned i = 0; i < threads; i++) {
        if (fibers[i].status == ENDED) return fail(BARRIER_AFTER_EXIT, line);
        if (fibers[i].line != line) return fail(DIVERGENT_BARRIER, line);
    }
    for (unsigned i = 0; i < threads; i++) fibers[i].status = READY;
}

static void shuffle_order(unsigned* order, unsigned count, unsigned kind, uint64_t salt) {
    for (unsigned i = 0; i < count; i++) order[i] = kind == 1 ? count - 1 - i : i;
    if (kind < 2) return;
    uint64_t state = (kind + salt) * 0x9E3779B97F4A7C15ull + 1;
    for (unsigned i = count - 1; i > 0; i--) {
        state ^= state << 13; state ^= state >> 7; state ^= state << 17;
        std::swap(order[i], order[state % (i + 1)]);
    }
}

static void run_block(unsigned threads, const unsigned* order) {
    if (__start_cuda_shared)
        memset(__start_cuda_shared, 0xFF, size_t(__stop_cuda_shared - __start_cuda_shared));
    char* idle_stack = nullptr;                     // a thread that met no barrier leaves its stack to the next
    for (unsigned i = 0; i < threads; i++) {
        fibers[i].status = READY;
        fibers[i].line = 0;
    }
    for (unsigned round = 0;; round++) {
        unsigned ended = 0;
        for (unsigned k = 0; k < threads; k++) {
            Fiber& fiber = fibers[order[k]];
            if (fiber.status == READY) {
                if (round == 0) {
                    unsigned i = order[k];
                    fiber.number = i;
                    fiber.thread = {i % block_size.x, i / block_size.x % block_size.y, i / (block_size.x * block_size.y)};
                    if (idle_stack) std::swap(fiber.stack, idle_stack);
                    if (!fiber.stack) fiber.stack = static_cast<char*>(aligned_alloc(64, STACK_BYTES));
                    if (idle_stack) free(idle_stack);
                    idle_stack = nullptr;
                    make_context(&fiber.context, fiber.stack, fiber_main);
                }
                current = &fiber;
                switch_context(&scheduler, &fiber.context);
                if (round == 0 && fiber.status == ENDED) std::swap(fiber.stack, idle_stack);
            }
            ended += fiber.status == ENDED;
        }
        if (ended == threads) break;
        if (release_warps(threads)) continue;
        if (error == NONE) release_block(threads);
        if (error != NONE) break;                   // the waiting fibers are dropped where they stand
    }
    free(idle_stack);
}

// While it lives, subnormal numbers count as 0, as under -ftz=true, with which CuPy compiles everything.
struct Rounding {
#if defined(CUDA_ON_CPU_FTZ) && defined(__x86_64__)
    unsigned before = __builtin_ia32_stmxcsr();
    Rounding() { __builtin_ia32_ldmxcsr(before | 0x8040); }
    ~Rounding() { __builtin_ia32_ldmxcsr(before); }
#else
    ~Rounding() {}
#endif
};

// ---- launching a kernel with the arguments that a void** points to -----------------------------------------------------
template <class... Types, size_t... I>
static void call(void (*kernel)(Types...), void** values, std::index_sequence<I...>) {
    kernel(*static_cast<std::remove_cv_t<std::remove_reference_t<Types>>*>(values[I])...);
}

template <class... Types> struct Call {
    void (*kernel)(Types...);
    void** values;
    static void run(void* self) {
        Call* c = static_cast<Call*>(self);
        call(c->kernel, c->values, std::index_sequence_for<Types...>{});
    }
};

template <class... Types>
static int launch(void (*kernel)(Types...), const unsigned* grid, const unsigned* block, size_t shared_bytes,
                  unsigned order_kind, void** values, int* line) {
    static unsigned thread_order[MAX_THREADS];
    grid_size = {grid[0], grid[1], grid[2]};
    block_size = {block[0], block[1], block[2]};
    unsigned threads = block[0] * block[1] * block[2], blocks = grid[0] * grid[1] * grid[2];
    unsigned* block_order = static_cast<unsigned*>(malloc(blocks * sizeof(unsigned)));
    dynamic_shared = static_cast<char*>(aligned_alloc(64, (shared_bytes + 127) / 64 * 64));
    Call<Types...> with{kernel, values};
    body = &Call<Types...>::run;
    body_arguments = &with;
    error = NONE;
    shuffle_order(block_order, blocks, order_kind, 0);
    Rounding rounding;
    for (unsigned i = 0; i < blocks && error == NONE; i++) {
        unsigned b = block_order[i];
        block_index = {b % grid[0], b / grid[0] % grid[1], b / (grid[0] * grid[1])};
        memset(dynamic_shared, 0xFF, shared_bytes);
        shuffle_order(thread_order, threads, order_kind, b);
        run_block(threads, thread_order);
    }
    free(dynamic_shared);
    free(block_order);
    *line = error_line;
    return error;
}

// A kernel's parameters as text, one letter a type and P for a pointer: "PfPfiq".
template <class T> struct Code;
template <> struct Code<bool> { static constexpr char value = '?'; };
template <> struct Code<signed char> { static constexpr char value = 'b'; };
template <> struct Code<unsigned char> { static constexpr char value = 'B'; };
template <> struct Code<int> { static constexpr char value = 'i'; };
template <> struct Code<unsigned> { static constexpr char value = 'I'; };
template <> struct Code<long long> { static constexpr char value = 'q'; };
template <> struct Code<unsigned long long> { static constexpr char value = 'Q'; };
template <> struct Code<float> { static constexpr char value = 'f'; };
template <> struct Code<double> { static constexpr char value = 'd'; };

template <class T> static char* write_code(char* out) {
    if (std::is_pointer<T>::value) *out++ = 'P';
    *out++ = Code<std::remove_cv_t<std::remove_pointer_t<T>>>::value;
    return out;
}
template <class... Types> static void write_signature(void (*)(Types...), char* out) {
    ((out = write_code<std::remove_cv_t<Types>>(out)), ...);
    *out = 0;
}

// ---- what a thread of a kernel sees ------------------------------------------------------------------------------------
static inline void block_barrier(int line) { wait(AT_BLOCK_BARRIER, line); }
static inline void warp_barrier(int line) { wait(AT_WARP_BARRIER, line); }

template <class T> static T shuffle(T value, unsigned source_lane, int line) {
    static_assert(sizeof(T) <= 8, "a shuffle moves at most eight bytes");
    memcpy(&current->word, &value, sizeof(T));
    warp_barrier(line);
    unsigned source = current->number / WARP * WARP + source_lane % WARP;
    memcpy(&value, &fibers[source].word, sizeof(T));
    warp_barrier(-line);                            // nobody offers the next word before all have read this one
    return value;
}
template <class T> static T shuffle_down(T value, unsigned delta, int line) {
    unsigned lane = current->number % WARP;
    return shuffle(value, lane + delta < WARP ? lane + delta : lane, line);
}

// Tensor cores: cvt.rna.tf32.f32, and mma.sync m16n8k8 on the fragments of a warp's lanes (PTX ISA, Matrix Fragments).
static inline float to_tf32(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    if (std::isfinite(x)) bits = (bits + 0x1000u) & ~0x1fffu;
    memcpy(&x, &bits, 4);
    return x;
}
static float fragments[MAX_THREADS][6];
static inline void multiply_fragments(float* c, const float* a, const float* b) {
    unsigned me = current->number, warp = me / WARP * WARP, group = me % WARP / 4, lane = me % 4;
    memcpy(fragments[me], a, 16);
    memcpy(fragments[me] + 4, b, 8);
    warp_barrier(__LINE__);
    for (unsigned k = 0; k < 8; k++) {
        const float* left = fragments[warp + group * 4 + k % 4] + k / 4 * 2;
        for (unsigned j = 0; j < 2; j++) {
            float right = fragments[warp + (2 * lane + j) * 4 + k % 4][4 + k / 4];
            c[j] += left[0] * right;
            c[2 + j] += left[1] * right;
        }
    }
    warp_barrier(__LINE__);                         // nobody brings the next fragments before all have read these
}

}  // namespace cuda_on_cpu

#define threadIdx (cuda_on_cpu::current->thread)
#define blockIdx (cuda_on_cpu::block_index)
#define blockDim (cuda_on_cpu::block_size)
#define gridDim (cuda_on_cpu::grid_size)
#define warpSize 32
#define __syncthreads() cuda_on_cpu::block_barrier(__LINE__)
#define __syncwarp(...) cuda_on_cpu::warp_barrier(__LINE__)
#define __shfl_sync(mask, value, lane) cuda_on_cpu::shuffle(value, lane, __LINE__)
#define __shfl_xor_sync(mask, value, bits) cuda_on_cpu::shuffle(value, (cuda_on_cpu::current->number % 32) ^ (bits), __LINE__)
#define __shfl_down_sync(mask, value, delta) cuda_on_cpu::shuffle_down(value, delta, __LINE__)

static inline void __threadfence() {}               // one thread runs at a time, and sees all that was written
template <class T> static inline T atomicAdd(T* p, T value) { T old = *p; *p = old + value; return old; }

#define CUDA_ON_CPU_KERNEL(name)                                                                                         \
    extern "C" int launch_##name(const unsigned* grid, const unsigned* block, size_t shared_bytes, unsigned order,       \
                                 void** values, int* line) {                                                             \
        return cuda_on_cpu::launch(name, grid, block, shared_bytes, order, values, line);                                \
    }                                                                                                                    \
    extern "C" void signature_##name(char* out) { cuda_on_cpu::write_signature(name, out); }

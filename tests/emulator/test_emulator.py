"""The emulator finds what it is there to find: each planted error is caught, and the same code without it passes."""

from __future__ import annotations

import copy
import gc
import sys

import numpy as np
import pytest

from tests import emulator
from tests.emulator import HostReads, KernelError, cuda_on_cpu, thread_order

cp = emulator.standin()
needs_compiler = pytest.mark.skipif(emulator.compiler() is None, reason="no g++ to emulate CUDA with")

KERNELS = r"""
// Each block sums 64 values: by shared memory, by warps' shuffles.
extern "C" __global__ void block_sum(const float* x, float* y, int count) {
    __shared__ float values[64];
    int i = blockIdx.x * 64 + threadIdx.x;
    values[threadIdx.x] = i < count ? x[i] : 0.f;
    for (int half = 32; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) values[threadIdx.x] += values[threadIdx.x + half];
    }
    if (threadIdx.x == 0) y[blockIdx.x] = values[0];
}
extern "C" __global__ void warp_sum(const float* x, float* y) {
    float value = x[threadIdx.x];
    for (int bit = 16; bit > 0; bit /= 2) value += __shfl_xor_sync(0xffffffffu, value, bit);
    if (threadIdx.x % 32 == 0) y[threadIdx.x / 32] = value;
}
extern "C" __global__ void reverse(const float* x, float* y) {
    extern __shared__ float held[];
    held[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = held[blockDim.x - 1 - threadIdx.x];
}
extern "C" __global__ void scale(const float* x, float* y, float factor, long long count) {
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x)
        y[i] = factor * x[i];
}
extern "C" __global__ void where_am_i(int* y) {
    int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    y[block * blockDim.x * blockDim.y * blockDim.z + thread] += 1000 * block + thread;
}
"""


def module(source: str = KERNELS, **replace: str):
    """The kernels, with an error planted: `replace` is old="...", new="..."."""
    if replace:
        assert replace["old"] in source
        source = source.replace(replace["old"], replace["new"])
    return cp.RawModule(code=source)


def block_sum(kernels, count: int = 150) -> np.ndarray:
    y = cp.empty(3, cp.float32)
    kernels.get_function("block_sum")((3,), (64,), (cp.arange(count, dtype=cp.float32), y, np.int32(count)))
    return y.get()


@needs_compiler
class TestKernels:
    def test_right_kernels_give_right_answers_in_every_order(self):
        x = np.arange(150.0)
        for order in emulator.ORDERS:
            with thread_order(order):
                expected = [x[:64].sum(), x[64:128].sum(), x[128:].sum()]
                np.testing.assert_array_equal(block_sum(module()), expected)
                y = cp.empty(2, cp.float32)
                module().get_function("warp_sum")((1,), (64,), (cp.arange(64, dtype=cp.float32), y))
                np.testing.assert_array_equal(y.get(), [496, 1520])
                y = cp.empty(40, cp.float32)
                module().get_function("reverse")((1,), (40,), (cp.arange(40, dtype=cp.float32), y), shared_mem=160)
                np.testing.assert_array_equal(y.get(), np.arange(40)[::-1])

    def test_every_thread_of_every_block_runs_once(self):
        for order in emulator.ORDERS:
            y = cp.zeros(24 * 30, cp.int32)
            with thread_order(order):
                module().get_function("where_am_i")((2, 3, 4), (5, 3, 2), (y,))
            np.testing.assert_array_equal(y.get(), (1000 * np.arange(24)[:, None] + np.arange(30)).ravel())

    def test_a_missing_barrier_shows_in_another_order(self):
        broken = module(old="        __syncthreads();\n        if", new="        if")
        right, answers = block_sum(module()), []
        for order in emulator.ORDERS:
            with thread_order(order):
                answers.append(np.array_equal(block_sum(broken), right))
        assert not all(answers)

    @pytest.mark.parametrize(
        "old, new",
        [
            ("        __syncthreads();\n", "        if (threadIdx.x < 32) __syncthreads();\n"),
            ("    int i = blockIdx.x * 64", "    if (threadIdx.x == 63) return;\n    int i = blockIdx.x * 64"),
        ],
        ids=["not all threads reach it", "a thread has left"],
    )
    def test_a_divergent_barrier_is_an_error(self, old, new):
        with pytest.raises(KernelError, match=r"block_sum, line \d+: divergent barrier"):
            block_sum(module(old=old, new=new))

    def test_two_barriers_are_not_one(self):
        broken = module(
            old="        __syncthreads();\n        if",
            new="        if (threadIdx.x % 2) __syncthreads();\n        else\n            __syncthreads();\n        if",
        )
        with pytest.raises(KernelError, match="divergent barrier: threads of one block wait at different"):
            block_sum(broken)

    def test_a_shuffle_that_half_a_warp_reaches_is_an_error(self):
        broken = module(
            old="    float value = x[threadIdx.x];", new="    if (threadIdx.x % 32 > 15) return;\n    float value = 1;"
        )
        with pytest.raises(KernelError, match="divergent warp"):
            broken.get_function("warp_sum")((1,), (64,), (cp.ones(64, cp.float32), cp.empty(2, cp.float32)))

    @pytest.mark.parametrize("place", [-1, 10, 100])
    def test_a_write_out_of_bounds_is_an_error(self, place):
        broken = module(old="        y[i] = factor", new=f"        y[i == 3 ? {place} : i] = factor")
        x, y = cp.ones(10, cp.float32), cp.empty(10, cp.float32)
        with pytest.raises(KernelError, match=r"scale wrote outside of the array at argument 1"):
            broken.get_function("scale")((1,), (32,), (x, y, np.float32(2), np.int64(10)))

    def test_a_read_out_of_bounds_gives_nan(self):
        y = cp.empty(10, cp.float32)
        broken = module(old="factor * x[i]", new="factor * x[i + 1]")
        broken.get_function("scale")((1,), (32,), (cp.ones(10, cp.float32), y, np.float32(2), np.int64(10)))
        np.testing.assert_array_equal(np.isnan(y.get()), [False] * 9 + [True])

    def test_shared_memory_starts_undefined_in_every_block(self):
        broken = module(
            old="    values[threadIdx.x] = i < count ? x[i] : 0.f;",
            new="    if (i < count) values[threadIdx.x] = x[i];",
        )
        np.testing.assert_array_equal(np.isnan(block_sum(broken)), [False, False, True])

    def test_what_a_kernel_does_not_write_is_nan(self):
        y = cp.empty(10, cp.float32)
        module().get_function("scale")((1,), (32,), (cp.ones(10, cp.float32), y, np.float32(2), np.int64(9)))
        assert np.isnan(y.get()[-1]) and not np.isnan(y.get()[:-1]).any()

    @pytest.mark.parametrize(
        "place, value, message",
        [
            (2, 2.0, "argument 2 is a scalar of float64, the kernel takes a scalar of float32"),
            (2, np.float64(2), "argument 2 is a scalar of float64"),
            (3, np.int32(10), "argument 3 is a scalar of int32, the kernel takes a scalar of int64"),
            (0, cp.ones(10), "argument 0 is an array of float64, the kernel takes an array of float32"),
            (0, np.float32(1), "argument 0 is a scalar of float32, the kernel takes an array"),
            (3, cp.ones(1, cp.int64), "argument 3 is an array of int64, the kernel takes a scalar"),
            (0, cp.ones((4, 10), cp.float32)[:, ::2], "has gaps, and kernels see no strides"),
        ],
    )
    def test_an_argument_of_another_type_is_an_error(self, place, value, message):
        args = [cp.ones(10, cp.float32), cp.empty(10, cp.float32), np.float32(2), np.int64(10)]
        args[place] = value
        with pytest.raises(KernelError, match=message):
            module().get_function("scale")((1,), (32,), tuple(args))

    def test_a_numpy_array_is_no_argument(self):
        with pytest.raises(TypeError, match="numpy.ndarray"):
            module().get_function("where_am_i")((1,), (1,), (np.zeros(1, np.int32),))

    @pytest.mark.parametrize(
        "grid, block, message",
        [
            ((0,), (32,), "without threads"),
            ((1,), (2048,), "more than 1024"),
            ((1, 70000), (1,), "larger than a device"),
        ],
    )
    def test_an_impossible_launch_is_an_error(self, grid, block, message):
        with pytest.raises(KernelError, match=message):
            module().get_function("where_am_i")(grid, block, (cp.zeros(1, cp.int32),))

    def test_a_wrong_count_of_arguments_is_an_error(self):
        with pytest.raises(KernelError, match="takes 1 arguments, 2 were given"):
            module().get_function("where_am_i")((1,), (1,), (cp.zeros(1, cp.int32), np.int32(1)))

    def test_a_source_that_does_not_compile_says_why(self):
        with pytest.raises(KernelError, match="(?s)does not compile.*nonsense"):
            module('extern "C" __global__ void f(float* x) { x[0] = nonsense; }').get_function("f")
        with pytest.raises(KernelError, match="has no kernel missing; it has block_sum"):
            module().get_function("missing")

    def test_compiled_libraries_are_kept(self, tmp_path, monkeypatch):
        monkeypatch.setenv("MINIGRAD_EMULATOR_CACHE", str(tmp_path))
        module().get_function("scale")
        (library,) = tmp_path.iterdir()
        written = library.stat().st_mtime_ns
        module().get_function("scale")
        assert [p.stat().st_mtime_ns for p in tmp_path.iterdir()] == [written]
        module(old="factor * x", new="x[i] * factor + 0 * x").get_function("scale")
        assert len(list(tmp_path.iterdir())) == 2

    def test_no_compiler_is_said_plainly(self, monkeypatch, tmp_path):
        monkeypatch.setenv("MINIGRAD_EMULATOR_CACHE", str(tmp_path))
        monkeypatch.setenv("CXX", "no-such-compiler")
        with pytest.raises(KernelError, match="g\\+\\+, which is not installed"):
            module().get_function("scale")

    def test_subnormal_numbers_count_as_zero_in_single_precision(self):
        for scalar, dtype, kept in (("float", np.float32, 0), ("double", np.float64, 1e-39)):
            code = 'extern "C" __global__ void half(const scalar_t* x, scalar_t* y) { y[0] = x[0] * scalar_t(0.5); }'
            kernel = cp.RawModule(code=code, options=(f"-Dscalar_t={scalar}",)).get_function("half")
            y = cp.empty(1, dtype)
            kernel((1,), (1,), (cp.asarray(np.array([2e-39], dtype)), y))
            assert y.get()[0] == kept
        assert np.float32(2e-39) * np.float32(0.5) > 0  # and the host goes on as it did

    def test_the_portable_fibers_do_the_same(self):
        """Machines other than x86-64 switch fibers by ucontext."""
        x, y = np.arange(150, dtype=np.float32), np.empty(3, np.float32)
        portable = cuda_on_cpu.Module(KERNELS, ("-DCUDA_ON_CPU_UCONTEXT",))
        portable.get_function("block_sum")((3,), (64,), (x, y, np.int32(150)))
        np.testing.assert_array_equal(y, block_sum(module()))


class TestStandIn:
    """What CuPy refuses is refused, and what it gives comes in its form."""

    def test_it_is_cupy_once_installed(self):
        if emulator.real_cupy() is not None:
            pytest.skip("CuPy itself is here")
        assert emulator.install() is cp is sys.modules["cupy"]
        import cupy.cuda.runtime
        import cupyx
        from cupy.lib.stride_tricks import as_strided

        assert cupy.cuda.is_available() and cupy.cuda.runtime.getDeviceCount() == 1
        a = cupy.zeros(3)
        cupyx.scatter_add(a, cupy.asarray([1, 1]), cupy.ones(2))
        np.testing.assert_array_equal(a.get(), [0, 2, 0])
        np.testing.assert_array_equal(as_strided(cupy.arange(4), (3, 2), (8, 8)).get(), [[0, 1], [1, 2], [2, 3]])

    @pytest.mark.parametrize(
        "refused",
        [
            lambda x: np.asarray(x),
            lambda x: x + np.ones(3),
            lambda x: np.ones(3) + x,
            lambda x: x + [1, 2, 3],
            lambda x: np.exp(x),
            lambda x: np.sum(x),
            lambda x: np.concatenate([x, x]),
            lambda x: cp.add(x, np.ones(3)),
            lambda x: cp.add(x, [1, 2, 3]),
            lambda x: cp.where(x > 0, np.ones(3), x),
            lambda x: cp.concatenate([x, np.ones(3)]),
            lambda x: cp.matmul(x, np.ones(3)),
            lambda x: cp.sum([1, 2, 3]),
            lambda x: cp.sum(x, where=x > 0),
            lambda x: cp.exp(x, where=x > 0),
            lambda x: x.__setitem__(0, np.ones(1)),
            lambda x: hash(x),
        ],
    )
    def test_refusals(self, refused):
        with pytest.raises(TypeError):
            refused(cp.ones(3))

    def test_what_cupy_lacks_is_not_there(self):
        for name in ("shares_nothing", "fromregex", "ma", "matvec"):
            assert not hasattr(cp, name)
        assert not hasattr(cp.ones(1), "ctypes") and not hasattr(cp.ones(1).flags, "writeable")

    def test_results_stay_on_the_device(self):
        x = cp.arange(6.0).reshape(2, 3)
        for result in (
            x.sum(),
            x.max(),
            x[0, 0],
            x[0][1],
            x.argmax(),
            cp.sum(x),
            cp.exp(cp.asarray(1.0)),
            np.float32(2) * x,
        ):
            assert isinstance(result, cp.ndarray)
        assert x.sum().shape == () and x[0, 0].base is not None

    def test_host_reads_are_counted(self):
        x = cp.ones(())
        for read in (
            float,
            int,
            bool,
            str,
            repr,
            cp.asnumpy,
            lambda x: x.item(),
            lambda x: x.get(),
            lambda x: x.tolist(),
        ):
            before = HostReads.count
            read(x)
            assert HostReads.count == before + 1
        before = HostReads.count
        (x + 1).reshape(1).sum()
        assert HostReads.count == before

    @pytest.mark.parametrize(
        "refused",
        [
            lambda x: float(x.sum()),
            lambda x: x.get(),
            lambda x: bool(x[0] > 0),
            lambda x: cp.asarray(np.ones(3)),
            lambda x: x[x > 0],
            lambda x: cp.nonzero(x),
            lambda x: cp.cuda.Device().synchronize(),
            lambda x: cp.random.RandomState(0).rand(3),
        ],
    )
    def test_a_capture_allows_no_host_reads(self, refused):
        x = cp.ones(3)
        refused(x)
        with emulator.capturing(), pytest.raises(RuntimeError, match="captured"):
            refused(x)
        refused(x)

    def test_python_scalars_are_weak(self):
        x = cp.ones(2, cp.float32)
        assert (x * 2.0).dtype == (2 / x).dtype == cp.maximum(x, 0.0).dtype == np.float32
        assert (x * np.float64(2)).dtype == np.float64
        assert (cp.arange(3, dtype=cp.int32) + 1).dtype == np.int32

    def test_views_share_memory_and_copies_do_not(self):
        x = cp.zeros((2, 3, 4))
        for view in (
            x[0],
            x.T,
            x.reshape(6, 4),
            x[..., 1:],
            x.transpose(2, 0, 1),
            cp.moveaxis(x, 0, -1),
            x[None],
            x.ravel(),
        ):
            assert view.base is x and cp.shares_memory(view, x)
            view[...] = view + 1
        assert x.get()[0, 0, 1] == 8 and x.get()[1, 0, 0] == 6  # in all of the views, in six of them
        for fresh in (x.copy(), x + 0, x[cp.asarray([0, 1])], x.T.reshape(-1), x.astype(cp.float64), abs(x)):
            assert fresh.base is None and not cp.shares_memory(fresh, x)
        assert x[0].data.ptr == x.data.ptr and x[1].data.ptr == x.data.ptr + 96

    def test_in_place_operators_keep_the_array(self):
        x = cp.ones(3, cp.float32)
        held, view = x, x[1:]
        x += 1
        x *= cp.asarray([1, 2, 3], dtype=cp.float32)
        x /= 2
        assert x is held
        np.testing.assert_array_equal(view.get(), [2, 3])

    def test_indexing(self):
        x, host = cp.arange(24).reshape(2, 3, 4), np.arange(24).reshape(2, 3, 4)
        rows, mask = np.array([[1, 0]]), host % 3 == 0
        np.testing.assert_array_equal(x[:, cp.asarray(rows), 1].get(), host[:, rows, 1])
        np.testing.assert_array_equal(x[cp.asarray(mask)].get(), host[mask])
        np.testing.assert_array_equal(x[..., None, -1].get(), host[..., None, -1])
        x[1, cp.asarray([0, 2])] = cp.zeros(4, cp.int64)
        assert x[1].get().sum() == host[1, 1].sum()
        with pytest.raises(IndexError):
            x[2]

    def test_integer_arrays_wrap_around_without_an_error(self):
        x = cp.arange(3)
        np.testing.assert_array_equal(x[cp.asarray([1, 3, -4])].get(), [1, 0, 2])
        np.testing.assert_array_equal(cp.take(x, cp.asarray([5])).get(), [2])

    def test_results_are_c_contiguous_whatever_came_in(self):
        x = cp.ones((2, 4, 5, 3), cp.float32).transpose(0, 3, 1, 2)
        results = (
            x + 1, 2 * x, -x, abs(x), x > 0, cp.maximum(x, 0), cp.exp(x), cp.where(x > 0, x, 0.0), x.sum(axis=0), x.clip(0, 1),
            cp.concatenate([x, x]), x[:, cp.asarray([0, 1])], cp.add(x, x),
        )  # fmt: skip
        for result in results:
            assert result.flags.c_contiguous and result.base is None
        channels_last = x.strides
        for kept in (cp.empty_like(x), cp.zeros_like(x), x.copy(order="K"), x.astype(np.float32), cp.array(x)):
            assert kept.strides == channels_last
        assert x.astype(np.float64).strides == tuple(2 * n for n in channels_last)
        x += 1
        assert x.strides == channels_last and cp.add(x, x, out=x).strides == channels_last
        assert x.copy().flags.c_contiguous and not x.flags.c_contiguous
        assert x.T.flags["F_CONTIGUOUS"] is x.flags.c_contiguous

    def test_floor_division_is_the_naive_formula(self):
        one, tenth = cp.ones(1), cp.full(1, 0.1)
        assert (one // tenth).item() == cp.floor_divide(1.0, tenth).item() == 10 and 1.0 // 0.1 == 9
        assert (one % tenth).item() == cp.remainder(one, 0.1).item() == cp.mod(1.0, tenth).item() == 0
        assert np.isnan((one % np.inf).item()) and 1 % np.inf == 1
        assert (cp.asarray([-7]) // 2).item() == -4 and (-7 % cp.asarray([4])).item() == 1

    def test_a_place_that_is_assigned_two_values_is_an_error(self):
        x, twice = cp.zeros(4), cp.asarray([1, 2, 1])
        with pytest.raises(RuntimeError, match="undefined on a GPU"):
            x[twice] = cp.asarray([1.0, 2.0, 3.0])
        with pytest.raises(RuntimeError, match="undefined on a GPU"):
            x[cp.asarray([1, -3])] = cp.asarray([1.0, 2.0])
        with pytest.raises(RuntimeError, match="undefined on a GPU"):
            cp.put_along_axis(x, twice, cp.asarray([1.0, 2.0, 3.0]), 0)
        x[twice] = 5.0
        x[twice] = cp.asarray([1.0, 2.0, 1.0])
        np.testing.assert_array_equal(x.get(), [0, 1, 2, 0])

    def test_subnormal_numbers_count_as_zero(self):
        x = cp.asarray(np.array([1e-39, -1e-39, 1e-38, 2e-38, 1.0], np.float32))
        np.testing.assert_array_equal((x * 1).get(), np.array([0, 0, 0, 2e-38, 1], np.float32))
        assert np.signbit((x * 1).get()[1]) and not (x[:2] != 0).get().any()
        np.testing.assert_array_equal((x[3:4] / 4).get(), 0)
        assert cp.multiply(x, x).get()[3] == 0 and (x.astype(np.float64) * 1).get()[0] > 0
        x *= 1
        assert x.get()[2] == 0

    def test_functions_err_as_cudas_may(self):
        x = np.random.default_rng(0).uniform(0.1, 3, 5000).astype(np.float32)
        for name, ulp in (("exp", 1), ("tan", 4), ("sinh", 3)):
            exact = getattr(np, name)(x.astype(np.float64))
            found = getattr(cp, name)(cp.asarray(x)).get()
            off = np.abs(found - exact) / np.spacing(np.abs(exact).astype(np.float32))
            assert ulp - 0.6 <= off.max() <= ulp, name
            np.testing.assert_array_equal(getattr(cp, name)(cp.asarray(x.astype(np.float64))).get(), exact)
        assert cp.exp(cp.zeros(1, np.float32)).item() == 1 and (cp.full(1, 3, np.float32) ** 2).item() == 9
        assert ((cp.asarray(x) ** 1.5).get() != x ** np.float32(1.5)).any()

    def test_the_pool_counts_blocks_of_512_bytes(self):
        gc.collect()
        pool = cp.get_default_memory_pool()
        before = pool.used_bytes()
        x = cp.empty(129, cp.float32)
        assert pool.used_bytes() == before + 1024
        y = x[1:]
        del x
        assert pool.used_bytes() == before + 1024  # the view holds it
        del y
        assert pool.used_bytes() == before

    def test_copies(self):
        x = cp.arange(3)
        for copied in (copy.copy(x), copy.deepcopy(x), cp.array(x)):
            copied[0] = 5
        assert x.get()[0] == 0
        assert cp.asarray(x) is x
        np.testing.assert_array_equal(cp.from_dlpack(np.arange(3.0)).get(), np.from_dlpack(cp.arange(3.0)))

    def test_ufuncs_write_into_out(self):
        x, out = cp.arange(3.0), cp.empty(3)
        assert cp.multiply(x, 2, out=out) is out and cp.add(x, out, out) is out
        np.testing.assert_array_equal(out.get(), [0, 3, 6])
        assert cp.sum(x, axis=0, out=cp.empty(())).get() == 3
        assert isinstance(cp.exp, cp.ufunc)
        a = cp.ones((2, 2))
        assert cp.matmul(a, a, out=a) is a and (a.get() == 2).all()

    @pytest.mark.parametrize(
        ("operands", "copies"),
        [
            (lambda: (cp.ones((3, 4)), cp.ones((4, 5)), cp.empty((3, 5))), 0),
            (lambda: (cp.ones((4, 3)).T, cp.ones((5, 4)).T, None), 0),  # transposed matrices go by cuBLAS's flags
            (lambda: (cp.ones((3, 8))[:, ::2], cp.ones((4, 5)), None), 1),
            (lambda: (cp.ones((2, 4, 3)).swapaxes(1, 2), cp.ones((2, 4, 5)), None), 1),
            (lambda: (cp.ones((3, 4)), cp.ones((4, 5)), cp.empty((5, 3)).T), 1),
            (lambda: (cp.ones((3, 4)), cp.ones((4, 5)), cp.empty((3, 5), cp.float32)), 1),
        ],
    )
    def test_products_copy_as_cupys_do(self, operands, copies):
        a, b, out = operands()
        with emulator.counted() as launches:
            found = cp.matmul(a, b, out)
        assert emulator.totals(launches) == {"product": 1} | ({"copy": copies} if copies else {})
        np.testing.assert_array_equal(found.get(), a.get() @ b.get())
        stream = cp.cuda.Stream(non_blocking=True)
        stream.begin_capture()
        try:
            with pytest.raises(NotImplementedError, match="cuBLAS"):
                cp.matmul(a, b, out)
        finally:
            stream.end_capture()
        with pytest.raises(ValueError, match="shape"):
            cp.matmul(a, b, cp.empty((1, 1)))

    def test_launches_are_counted(self):
        x = cp.ones((2, 3), cp.float32)
        with emulator.counted() as launches:
            y = cp.exp(x + 1).sum(axis=0)
            y.reshape(3, 1)[1:]  # views
            x.T.reshape(-1)  # a copy
            x *= 2
            x[0] = y
            cp.zeros(3)
            y.get()
        kinds = {"elementwise": 3, "reduction": 1, "copy": 2, "fill": 1, "to host": 1}
        assert emulator.totals(launches) == kinds and emulator.work(launches) == 7
        assert [launch.bytes for launch in launches[:3]] == [48, 48, 36]

    def test_a_graph_does_again_what_was_captured(self):
        x, total = cp.ones(3), cp.zeros(())
        stream, pool = cp.cuda.Stream(non_blocking=True), cp.cuda.MemoryPool()
        with stream, cp.cuda.using_allocator(pool.malloc):
            stream.begin_capture()
            y = cp.exp(x * 2)
            total += y.sum()
            graph = stream.end_capture()
        assert total.get() == 0 and np.isnan(y.get()).all()  # nothing is computed before it is launched
        for value in (0.0, 1.0):
            x.fill(value)
            before = float(total)
            with emulator.counted() as launches:
                graph.launch()
            assert emulator.totals(launches) == {"graph": 1}
            np.testing.assert_allclose(y.get(), np.exp(2 * value))
            np.testing.assert_allclose(float(total), before + 3 * np.exp(2 * value))

    def test_work_on_two_streams_has_to_be_ordered(self):
        x, other, event = cp.ones(3), cp.cuda.Stream(non_blocking=True), cp.cuda.Event(disable_timing=True)
        with other, pytest.raises(RuntimeError, match="a race: mul on stream .* does not wait for work on stream 0"):
            x * 2
        event.record()
        other.wait_event(event)
        with other:
            x += 1
        with pytest.raises(RuntimeError, match="a race"):
            x.get()
        other.synchronize()
        np.testing.assert_array_equal(x.get(), 2)

    def test_a_long_copy_from_memory_that_is_not_pinned_is_a_wait(self):
        x, numbers = cp.zeros(2**14), np.ones(2**14)
        with emulator.counted() as launches:
            x.set(numbers)
        assert emulator.totals(launches) == {"wait": 1, "to device": 1}
        pinned = sys.modules["cupyx"].empty_pinned(2**14)
        pinned[...] = numbers
        with emulator.counted() as launches:
            x.set(pinned)
        assert emulator.totals(launches) == {"to device": 1}

    def test_a_capture_wants_its_own_stream_and_memory(self):
        x, stream = cp.ones(3), cp.cuda.Stream(non_blocking=True)
        stream.begin_capture()
        try:
            with pytest.raises(RuntimeError, match="default pool"):
                x + 1
            with (
                cp.cuda.using_allocator(cp.cuda.MemoryPool().malloc),
                pytest.raises(RuntimeError, match="another stream"),
            ):
                x + 1
        finally:
            stream.end_capture()

    def test_a_dry_run_has_the_same_launches(self):
        def work():
            x = cp.ones((512, 1024), cp.float32)
            y = (x + 1).T.reshape(-1)
            return x @ x.T, y

        with emulator.counted() as launches:
            work()
        with emulator.dry(), emulator.counted() as dry:
            product, y = work()
        assert dry == launches and product.shape == (512, 512) and y.dtype == np.float32

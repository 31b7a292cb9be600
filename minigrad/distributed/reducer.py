"""The gradients of all ranks, averaged in buckets while the backward pass goes on (Li et al. 2020, arXiv:2006.15704, 3.2).

Parameters are divided into buckets from the last to the first, roughly the order in which their gradients are complete. A
complete gradient is copied into its bucket; a full bucket is sent off as one nonblocking all_reduce, in the order of the buckets
on every rank, and each further gradient that is complete gives MPI a moment to move on. At the end of the pass the averages
become the parameters' .grad.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import backends
from minigrad.distributed.exchange import on_host, start_sum
from minigrad.distributed.group import ProcessGroup
from minigrad.distributed.work import Work
from minigrad.hooks import AfterAccumulation, AtCompletion, RemovableHandle
from minigrad.tensor import Tensor

FIRST_BUCKET = 1 << 20  # bytes: communication begins early
BUCKET = 25 << 20


class Bucket:
    """The gradients of some parameters in one array `flat`, `views` of it shaped and laid out as the parameters are."""

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.parameters = list(parameters)
        first = self.parameters[0].array
        xp = backends.of(first).xp
        self.flat = xp.zeros(sum(p.array.size for p in self.parameters), first.dtype)
        self.views, start = [], 0
        for parameter in self.parameters:
            self.views.append(_laid_out_as(parameter.array, self.flat[start : start + parameter.array.size]))
            start += parameter.array.size
        self.reset()

    def reset(self) -> None:
        """Wait for all gradients anew."""
        self.missing = set(range(len(self.parameters)))
        self.work: Work | None = None


def _laid_out_as(array: Any, flat: Any) -> Any:
    """A view of `flat` of the array's shape, its axes in memory in the array's order: copies are then along whole rows."""
    order = sorted(range(array.ndim), key=lambda axis: (-array.strides[axis], axis))
    back = [order.index(axis) for axis in range(array.ndim)]
    return flat.reshape([array.shape[axis] for axis in order]).transpose(back)


def divide(parameters: Sequence[Tensor], sizes: Sequence[int]) -> list[Bucket]:
    """Buckets of at most sizes[0], sizes[1], ... bytes, the last size again and again, from the last parameter to the first.

    A bucket has parameters of one dtype, and one at least.
    """
    groups: list[list[Tensor]] = []
    filled = 0
    for parameter in reversed(parameters):
        size = sizes[min(len(groups) - 1, len(sizes) - 1)] if groups else 0
        fits = bool(groups) and groups[-1][0].dtype == parameter.dtype and filled + parameter.array.nbytes <= size
        if not fits:
            groups.append([])
            filled = 0
        groups[-1].append(parameter)
        filled += parameter.array.nbytes
    return [Bucket(group) for group in groups]


class Reducer:
    """Averages the gradients of `parameters` over the ranks during each backward pass, unless `active` is False.

    names: for messages. find_unused: parameters that a pass does not reach on some ranks count as 0 there; else they are an
    error, in time. Of the last pass: `waited`, the seconds after its end in which collectives were waited for; `early`, the share
    of the bytes whose collectives were done before its end.
    """

    def __init__(
        self,
        group: ProcessGroup,
        parameters: Sequence[Tensor],
        names: Sequence[str],
        sizes: Sequence[int],
        find_unused: bool,
    ) -> None:
        self.group, self.names, self.find_unused = (
            group,
            {id(p): n for p, n in zip(parameters, names, strict=True)},
            find_unused,
        )
        self.buckets = divide(parameters, sizes)
        self.active = True
        self.begun = self.finished = False
        self.next = 0  # the bucket that is sent off next
        self.waited = self.early = 0.0
        self.place = {id(p): (b, i) for b in self.buckets for i, p in enumerate(b.parameters)}
        self.handles = []
        for parameter in parameters:
            parameter._hooks = {} if parameter._hooks is None else parameter._hooks
            for hook in (AtCompletion(self._completed), AfterAccumulation(self._accumulated)):
                self.handles.append(RemovableHandle(parameter._hooks, hook))

    def prepare(self) -> None:
        """Before a backward pass: forget one that was broken off."""
        self.begun = self.finished = False
        self.next = 0
        for bucket in self.buckets:
            bucket.reset()

    def _completed(self, parameter: Tensor, gradient: Tensor) -> None:
        """A gradient is complete: put its share of the mean into the bucket, with what .grad has of passes without averaging."""
        if not self.active:
            return
        if self.finished:
            self.prepare()
        self.begun = True
        bucket, i = self.place[id(parameter)]
        if i not in bucket.missing:
            raise RuntimeError(
                f"the gradient of {self.names[id(parameter)]} is complete for the second time in one backward pass"
            )
        xp, share = backends.of(gradient.array).xp, gradient.array.dtype.type(1 / self.group.size())
        xp.multiply(gradient.array, share, out=bucket.views[i])
        if parameter.grad is not None:
            bucket.views[i] += parameter.grad.array * share
        bucket.missing.discard(i)
        self._send_off()
        for other in self.buckets[: self.next]:
            if other.work is not None:
                other.work.is_completed()

    def _send_off(self) -> None:
        """Begin with the buckets that are full, in their order."""
        while self.next < len(self.buckets) and not self.buckets[self.next].missing:
            bucket = self.buckets[self.next]
            bucket.work = start_sum(self.group, bucket.flat)
            self.next += 1

    def _accumulated(self, parameter: Tensor) -> None:
        """The pass is at its end: the first of these calls waits for all buckets, each puts a mean into .grad."""
        if not self.active or not self.begun:
            return
        if not self.finished:
            self._finish()
        bucket, i = self.place[id(parameter)]
        assert parameter.grad is not None
        parameter.grad.array[...] = bucket.views[i]

    def _finish(self) -> None:
        unused = [(bucket, i) for bucket in self.buckets for i in sorted(bucket.missing)]
        if unused and not self.find_unused:
            names = [self.names[id(bucket.parameters[i])] for bucket, i in unused]
            raise RuntimeError(
                f"no gradient came to {', '.join(names[:5])}{' ...' if names[5:] else ''} in this backward pass, and the other "
                "ranks may wait for it: freeze what is not used, or pass find_unused_parameters=True"
            )
        for bucket, i in unused:
            bucket.views[i][...] = 0
            if (before := bucket.parameters[i].grad) is not None:
                bucket.views[i][...] = before.array * before.array.dtype.type(1 / self.group.size())
            bucket.missing.discard(i)
        self._send_off()
        began = time.perf_counter()
        done = [bucket.flat.nbytes for bucket in self.buckets if bucket.work is not None and bucket.work.is_completed()]
        self.early = sum(done) / sum(bucket.flat.nbytes for bucket in self.buckets)
        for bucket in self.buckets:
            assert bucket.work is not None
            bucket.work.wait()
        self.waited = time.perf_counter() - began
        self.finished = True
        if self.find_unused:
            self._give_to_unused(unused)

    def _give_to_unused(self, unused: list[tuple[Bucket, int]]) -> None:
        """Parameters that this rank did not use, and another did, get the mean as well; others none."""
        count = sum(len(bucket.parameters) for bucket in self.buckets)
        used, numbers = np.ones(count, np.int32), {key: k for k, key in enumerate(self.place)}
        for bucket, i in unused:
            used[numbers[id(bucket.parameters[i])]] = 0
        everywhere = on_host(self.group, used)
        for bucket, i in unused:
            parameter = bucket.parameters[i]
            if everywhere[numbers[id(parameter)]]:
                if parameter.grad is None:
                    parameter._grad = Tensor._wrap(backends.of(parameter.array).xp.empty_like(parameter.array))
                assert parameter.grad is not None
                parameter.grad.array[...] = bucket.views[i]

    def remove(self) -> None:
        """Take the hooks away."""
        for handle in self.handles:
            handle.remove()

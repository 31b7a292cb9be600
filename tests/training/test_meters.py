"""Top-1, top-5 and the running loss."""

import json

import numpy as np
import torch

from minigrad.training.meters import Meter, target_ranks


def test_ranks_are_those_of_a_sorted_list() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(200, 12)), rng.integers(0, 12, 200)
    places = torch.from_numpy(logits).argsort(dim=1, descending=True)
    expected = (places == torch.from_numpy(labels)[:, None]).int().argmax(dim=1)
    assert target_ranks(logits, labels).tolist() == expected.tolist()


def test_among_equals_the_lower_class_comes_first() -> None:
    logits = np.zeros((3, 4), np.float32)
    assert target_ranks(logits, np.array([0, 1, 3])).tolist() == [0, 1, 3]


def test_nan_never_scores() -> None:
    logits = np.full((1, 10), np.nan, np.float32)
    assert target_ranks(logits, np.array([0])).tolist() == [10]
    logits = np.zeros((1, 3), np.float32)
    logits[0, 0] = np.nan
    assert target_ranks(logits, np.array([1])).tolist() == [1]


def test_with_fewer_than_five_classes_top5_is_everything() -> None:
    meter = Meter()
    meter.update(1.0, np.array([[1.0, 2.0, 3.0]]), np.array([0]))
    assert (meter.top1, meter.top5) == (0, 100)


def test_the_fifth_place_is_a_top5_hit_and_the_sixth_is_not() -> None:
    meter = Meter()
    falling = np.arange(10.0, 0, -1)[None]
    meter.update(1.0, np.repeat(falling, 2, axis=0), np.array([4, 5]))
    assert (meter.top1, meter.top5) == (0, 50)


def test_batches_count_by_their_images() -> None:
    meter = Meter()
    meter.update(1.0, np.eye(6)[[0, 1, 2]], np.array([0, 1, 5]))
    meter.update(5.0, np.eye(6)[[5]], np.array([5]))
    assert (meter.images, meter.loss, meter.top1) == (4, 2.0, 75)
    assert meter.top5 == 75  # class 5 is the last of the zeros


def test_state_survives_json_to_the_last_bit() -> None:
    meter = Meter()
    meter.update(0.1 + 0.2, np.eye(3), np.array([0, 1, 1]))
    again = Meter.restored(json.loads(json.dumps(meter.state())))
    for each in (meter, again):
        each.update(1 / 3, np.eye(3), np.array([2, 1, 0]))
    assert again.state() == meter.state()


def test_details_of_several_meters_come_together() -> None:
    rng = np.random.default_rng(0)
    logits, labels, order = rng.normal(size=(9, 4)), rng.integers(0, 4, 9), np.arange(9)
    whole, parts, found = Meter(), [Meter(), Meter()], Meter()
    whole.update(1.0, logits, labels, order)
    for meter, rows in zip(parts, (slice(0, 5), slice(5, 9)), strict=True):
        meter.update(1.0, logits[rows], labels[rows], order[rows])
        found.add(meter)
    found.take(sum(meter.table(9) for meter in parts))
    assert found.has_details
    for name, values in whole.details().items():
        assert np.array_equal(found.details()[name], values) and found.details()[name].dtype == values.dtype
    nothing = Meter()
    nothing.take(parts[0].table(9))  # not all of them
    assert not nothing.has_details

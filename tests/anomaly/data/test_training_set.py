import threading

import numpy as np
import pytest
import torch

from anomaly.data.augmentation import apply_transforms
from anomaly.data.training_set import TrainingSet, ahead
from anomaly.data.windows import make_windows
from anomaly.settings import TRANSFORMS
from pose_extract.errors import ConfigError
from tests.helpers import walkers


def dataset(settings, people=1, frames=22):
    windows = make_windows(walkers.clip(people=people, frames=frames), settings.windows, 1)
    return windows, TrainingSet(windows, settings, "cpu")


def all_items(data, seed=0, **share):
    return np.concatenate([items for items, _, _ in data.epoch(np.random.default_rng(seed), **share)])


def test_every_item_is_seen_once_an_epoch_in_every_transform(tiny):
    windows, data = dataset(tiny(training={"all_transforms": True, "batch_size": 8}))
    assert sorted(all_items(data)) == list(range(2 * len(windows)))
    windows, one = dataset(tiny())
    assert sorted(all_items(one) // 2) == list(range(len(windows)))
    assert len(set(all_items(one) % 2)) == 2


def test_an_item_is_its_window_in_its_transform(tiny):
    settings = tiny(training={"transforms": list(TRANSFORMS)})
    windows, data = dataset(settings)
    expected = apply_transforms(torch.from_numpy(windows.x), tuple(TRANSFORMS), settings.windows.body)
    every = expected.flatten(0, 1)
    torch.testing.assert_close(torch.cat(list(data.in_order())), every)
    items = np.array([7, 3, 3, 0, 44])
    torch.testing.assert_close(data.get(items), every[items])
    for items, x, _ in data.epoch(np.random.default_rng(1)):
        torch.testing.assert_close(x, every[items])


def test_the_processes_shares_of_a_batch_are_the_batch(tiny):
    _, data = dataset(tiny(training={"all_transforms": True, "batch_size": 7}), frames=30)
    alone = list(data.epoch(np.random.default_rng(3)))
    shares = [list(data.epoch(np.random.default_rng(3), rank, 3)) for rank in range(3)]
    assert len(alone) == data.steps > 2
    for whole, *parts in zip(alone, *shares, strict=True):
        np.testing.assert_array_equal(np.concatenate([items for items, _, _ in parts]), whole[0])
        torch.testing.assert_close(torch.cat([x for _, x, _ in parts]), whole[1], rtol=0, atol=0)
        sizes = [len(items) for items, _, _ in parts]
        assert min(sizes) >= 1
        assert max(sizes) - min(sizes) <= 1
        assert {total for _, _, total in parts} == {whole[2]} == {sum(sizes)}


def test_the_processes_shares_in_order_are_the_whole_in_order(tiny):
    _, data = dataset(tiny())
    whole = torch.cat(list(data.in_order()))
    shares = [torch.cat(list(data.in_order(rank, 4))) for rank in range(4)]
    torch.testing.assert_close(torch.cat(shares), whole, rtol=0, atol=0)
    assert [len(data.share(rank, 4)) for rank in range(4)] == [len(s) for s in shares]


def test_a_batch_too_small_for_the_processes_is_an_error_that_says_what_to_do(tiny):
    _, data = dataset(tiny(training={"batch_size": 2}))
    with pytest.raises(ConfigError, match="batch_size"):
        next(data.epoch(np.random.default_rng(0), 0, 3))


def test_few_leftovers_join_the_last_full_batch(tiny):
    windows, data = dataset(tiny(training={"batch_size": 10}))  # 11 windows
    assert [total for _, _, total in data.epoch(np.random.default_rng(0))] == [len(windows)]
    assert data.steps == 1


def test_the_next_result_is_made_while_the_last_is_used():
    made = [threading.Event() for _ in range(4)]

    def make(number):
        made[number].set()
        return number

    results = ahead(make, range(4))
    assert next(results) == 0
    assert made[1].wait(10)
    assert not made[2].is_set()  # one ahead, not all of them
    assert list(results) == [1, 2, 3]
    assert list(ahead(make, [])) == []


def test_an_error_in_the_thread_reaches_the_caller():
    results = ahead(lambda number: 1 / number, [1, 0, 2])
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)

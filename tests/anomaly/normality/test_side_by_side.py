import numpy as np
import pytest

from anomaly.normality.gaussian import GaussianDensity
from anomaly.normality.prediction import Predictor
from anomaly.normality.side_by_side import fit_all
from anomaly.settings import DensitySettings
from tests.helpers.processes import own_children

SETTINGS = DensitySettings(width=8, predictor_epochs=2)


def learn(kind, seed):
    rng = np.random.default_rng(seed)
    if kind == "mixture":
        return GaussianDensity.fit(rng.normal(size=(400, 5)), 3, seed)
    return Predictor.fit(rng.normal(size=(60, 12, 4, 2)).astype(np.float32), SETTINGS, seed)


def refuse(number):
    raise ValueError(f"job {number}")


@pytest.mark.slow
def test_processes_make_what_one_makes_in_the_order_of_the_jobs():
    jobs = [("mixture", 0), ("prediction", 1), ("mixture", 2), ("prediction", 3)]
    one, two = (fit_all(learn, iter(jobs), rows=0, processes=count) for count in (1, 2))
    for a, b in zip(one, two, strict=True):
        assert type(a) is type(b)
        for name, value in a.arrays().items():
            np.testing.assert_array_equal(value, b.arrays()[name])
    assert own_children() == []  # none stays


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_an_error_of_a_job_is_the_caller_s(processes):
    with pytest.raises(ValueError, match="job 1"):
        fit_all(refuse, [(1,)], rows=0, processes=processes)


def test_threads_are_what_they_were():
    import torch

    before = torch.get_num_threads()
    assert fit_all(lambda: torch.get_num_threads(), [()], rows=0) == [1]
    assert torch.get_num_threads() == before

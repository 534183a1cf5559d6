import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource
import numpy as np
from anomaly.runtime.memory import keep_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(8_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults(), keep_memory(), faults() and faults())
"""

HOLES = """
import numpy as np
import psutil
from anomaly.runtime.memory import give_back_memory

# Each second block is freed: none is at the end of the heap, where glibc gives back by itself.
blocks = [np.ones(12_000) for _ in range(1000)]
del blocks[::2]
before = psutil.Process().memory_info().rss
print(give_back_memory(), (before - psutil.Process().memory_info().rss) / (500 * 96_000))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_memory_that_is_kept_is_not_cleared_again():
    said = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True).stdout
    before, arranged, after = said.split()
    assert arranged == "True"
    assert int(after) < int(before) / 10


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_holes_between_what_is_used_are_given_back():
    said = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, check=True).stdout
    given, share = said.split()
    assert given == "True"
    assert 0.8 < float(share) < 1.3

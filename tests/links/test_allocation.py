"""Memory for readings is taken from the system once."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

READINGS = """
import resource
from dulse.links.allocation import keep_memory

def read():
    data = bytes(1048576)
    return [data[at:at + 65536] for at in range(0, len(data), 65536)]

keep_memory()
for _ in range(5):
    read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(100):
    read()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries keep memory by rules of their own")
def test_a_hundred_readings_take_no_memory_anew() -> None:
    ended = subprocess.run([sys.executable, "-c", READINGS], stdout=subprocess.PIPE, check=True)

    assert int(ended.stdout) < 100  # pages: without keeping there are hundreds for each

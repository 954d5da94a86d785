"""What `import dulse` costs beside an interpreter that imports nothing, and beside `import kombu`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from statistics import median

PAGE = os.sysconf("SC_PAGE_SIZE") / 2**20
CODE = """
import time
begun = time.process_time()
{}
print(time.process_time() - begun, open("/proc/self/statm").read().split()[1])
"""


def report(_folder: Path, share: float) -> Iterable[str]:
    """Measure fresh interpreters, with byte code cached."""
    yield "import, medians of fresh interpreters (targets: 60 ms and 15 MB above bare Python)"
    bare = _measure("pass", share)
    for statement in ("import dulse", "import dulse.aio", "import kombu, kombu.messaging, kombu.connection"):
        seconds, memory = _measure(statement, share)
        yield f"  {statement:46}{(seconds - bare[0]) * 1e3:8.1f} ms{(memory - bare[1]) * PAGE:8.1f} MB"


def _measure(statement: str, share: float) -> tuple[float, float]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    samples = []
    for _ in range(max(2, int(10 * share)) + 1):
        command = [sys.executable, "-c", CODE.format(statement)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.split()
        samples.append((float(printed[0]), float(printed[1])))
    return median(each[0] for each in samples[1:]), median(each[1] for each in samples[1:])

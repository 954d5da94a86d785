"""`import dulse` is cheap: what it loads, and what that costs a fresh interpreter."""

from __future__ import annotations

import os
import subprocess
import sys

MOST_SECONDS = 0.060
MOST_MEGABYTES = 15
HEAVY = {
    "asyncio",
    "importlib.metadata",
    "email",
    "concurrent.futures",
    "multiprocessing",
    "sqlite3",
    "msgpack",
    "yaml",
}

MEASURE = """
import sys, time
begun = time.process_time()
{}
print(time.process_time() - begun, open("/proc/self/statm").read().split()[1])
"""


def run(code: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment)
    return done.stdout


def measure(statement: str) -> tuple[float, float]:
    """Give the best of ten: CPU seconds and megabytes."""
    samples = [tuple(map(float, run(MEASURE.format(statement)).split())) for _ in range(10)]
    page = os.sysconf("SC_PAGE_SIZE") / 2**20
    return min(each[0] for each in samples), min(each[1] for each in samples) * page


def test_neither_asyncio_nor_anything_else_heavy_is_imported() -> None:
    loaded = set(run("import dulse, sys; print(*sys.modules)").split())

    assert loaded & HEAVY == set()


def test_the_memory_and_sqlite_transports_import_no_asyncio() -> None:
    code = """
import sys, tempfile, dulse
for url in ("memory://", f"sqlite:///{tempfile.mkdtemp()}/broker.db"):
    with dulse.Connection(url) as connection, connection.SimpleQueue("q") as queue:
        queue.put("x")
        queue.get(timeout=5).ack()
print("asyncio" in sys.modules)
"""
    assert run(code).strip() == "False"


def test_importing_takes_little_time_and_memory() -> None:
    run("import dulse")  # writes the byte code
    bare_seconds, bare_megabytes = measure("pass")

    seconds, megabytes = measure("import dulse")

    assert megabytes - bare_megabytes < MOST_MEGABYTES
    assert seconds - bare_seconds < MOST_SECONDS

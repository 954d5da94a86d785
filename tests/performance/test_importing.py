"""`import dulse` is cheap: what it loads, and what that costs a fresh interpreter."""

from __future__ import annotations

import os
import subprocess
import sys

MOST_MEGABYTES = 15
MOST_MODULES = 170
"""Beyond those of a bare interpreter; milliseconds are for `make bench`, since they differ from machine to machine."""

HEAVY = {
    "asyncio",
    "concurrent.futures",
    "dataclasses",
    "email",
    "importlib.metadata",
    "inspect",
    "msgpack",
    "multiprocessing",
    "platform",
    "socket",
    "sqlite3",
    "ssl",
    "uuid",
    "yaml",
}

MEASURE = """
{}
import sys
print(len(sys.modules), open("/proc/self/statm").read().split()[1])
"""


def run(code: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment)
    return done.stdout


def measure(statement: str) -> tuple[int, float]:
    """Give the modules loaded and the megabytes taken."""
    modules, pages = run(MEASURE.format(statement)).split()
    return int(modules), int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20


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


def test_importing_takes_few_modules_and_little_memory() -> None:
    run("import dulse")  # writes the byte code
    bare_modules, bare_megabytes = measure("pass")

    modules, megabytes = measure("import dulse")

    assert modules - bare_modules < MOST_MODULES
    assert megabytes - bare_megabytes < MOST_MEGABYTES

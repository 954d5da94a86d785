"""Prove each case of the conformance suite: with one rule of the sources switched off, it must fail.

The table, tests/conformance/mutations.toml, has for each rule the file (under src/dulse), the text that is replaced
and by what, and the cases that must notice; `url = "sqlite"` where memory has no such rule. Each case runs alone, in
the blocking form, on a copy of the sources. It has to fail by an assertion or an error of dulse: whatever else is
raised shows a mutation that merely breaks the code.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "tests" / "conformance" / "mutations.toml"

KEPT, BROKEN = 0, 1
"""Exit statuses of `python -m dulse.testing.conformance`."""

SECONDS = 90
"""For one case; the case itself ends after 30."""

AT_ONCE = 2 * (os.cpu_count() or 1)
"""Cases that run side by side: most of the time they wait."""


@dataclass(frozen=True)
class Mutation:
    """One rule switched off, and who must notice."""

    file: str
    old: str
    new: str
    cases: tuple[str, ...]
    url: str = "memory"

    def problem(self) -> str | None:
        """Say why it cannot be applied, if it cannot."""
        if self.old == self.new:
            return f"{self.file}: {self.old!r} is replaced by itself"
        found = (ROOT / "src" / "dulse" / self.file).read_text(encoding="utf-8").count(self.old)
        return None if found == 1 else f"{self.file} has {self.old!r} {found} times, not once: adapt the table"

    def apply(self, sources: Path) -> None:
        """Change the file in a copy of the sources."""
        path = sources / "dulse" / self.file
        path.write_text(path.read_text(encoding="utf-8").replace(self.old, self.new), encoding="utf-8")


def read_table(path: Path = TABLE) -> list[Mutation]:
    """Read the table."""
    with path.open("rb") as file:
        rows = tomllib.load(file)["mutation"]
    return [Mutation(**{**row, "cases": tuple(row["cases"])}) for row in rows]


def run_cases(names: Iterable[str], url: str, sources: Path, place: Path, seconds: float = SECONDS) -> tuple[int, str]:
    """Run cases in a process of their own; gives its exit status and what it printed."""
    where = f"sqlite:///{place}/broker.sqlite" if url == "sqlite" else "memory://mutated"
    command = [sys.executable, "-m", "dulse.testing.conformance", where, "--form", "sync", "--only", *names]
    environment = {**os.environ, "PYTHONPATH": str(sources)}
    try:
        done = subprocess.run(
            command, check=False, cwd=place, env=environment, capture_output=True, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return -1, f"did not end within {seconds} s"
    return done.returncode, done.stdout + done.stderr


def survivors(mutation: Mutation, wanted: str = "*") -> Iterator[str]:
    """Say which cases did not notice, or failed in a way that proves nothing."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        shutil.copytree(ROOT / "src", place / "src")
        mutation.apply(place / "src")
        for name in (name for name in mutation.cases if fnmatchcase(name, wanted)):
            status, printed = run_cases([name], mutation.url, place / "src", place)
            if status != BROKEN:
                how = "did not notice" if status == KEPT else f"ended with status {status}"
                yield f"{name} {how}: {mutation.file}, {mutation.old!r} -> {mutation.new!r}\n{printed}"


def broken_before(mutations: Iterable[Mutation], wanted: str) -> Iterator[str]:
    """Say where cases fail though nothing was changed."""
    names: dict[str, list[str]] = {}
    for mutation in mutations:
        names.setdefault(mutation.url, []).extend(name for name in mutation.cases if fnmatchcase(name, wanted))
    for url, cases in names.items():
        with tempfile.TemporaryDirectory() as folder:
            status, printed = run_cases(cases, url, ROOT / "src", Path(folder), SECONDS * len(cases))
        if status != KEPT:
            yield f"on {url}, cases fail without any mutation (status {status}):\n{printed}"


def prove(mutations: list[Mutation], wanted: str = "*") -> Iterator[str]:
    """Try every mutation that concerns a wanted case; gives the problems, as they are found."""
    chosen = [each for each in mutations if any(fnmatchcase(name, wanted) for name in each.cases)]
    hindrances = [problem for each in chosen if (problem := each.problem())] or list(broken_before(chosen, wanted))
    if hindrances:
        yield from hindrances
        return
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for found in pool.map(lambda each: list(survivors(each, wanted)), chosen):
            yield from found


def main() -> int:
    """Run the command line; the result is the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("cases", nargs="?", default="*", help="a pattern, such as 'leases.*'")
    wanted: str = parser.parse_args().cases
    mutations = read_table()
    problems = 0
    for problem in prove(mutations, wanted):
        problems += 1
        print(problem, flush=True)
    cases = [name for each in mutations for name in each.cases if fnmatchcase(name, wanted)]
    print(f"{len(cases)} cases, {problems} of them not proved")
    return 1 if problems or not cases else 0


if __name__ == "__main__":
    sys.exit(main())

"""Prove the conformance suite: with a rule of the sources switched off, some case of its promise must fail.

The table, tests/conformance/mutations.toml, has for each rule the file (under src/dulse), the text that is replaced
and by what, and the promises whose cases are run then; `url = "sqlite"` where memory has no such rule. A case is proved
by any mutation under which it is BROKEN, which is an assertion or an error of dulse: whatever else is raised shows a
mutation that merely breaks the code. Prints the cases that nothing has proved.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "tests" / "conformance" / "mutations.toml"

SECONDS = 120
"""For the cases of one promise under one mutation."""

AT_ONCE = 2 * (os.cpu_count() or 1)
"""Mutations tried side by side: most of the time their cases wait."""

VERDICT = re.compile(r"^ *[\d.]+ s +sync +(\S+): BROKEN", re.MULTILINE)


@dataclass(frozen=True)
class Mutation:
    """One rule switched off, and the promises that ought to notice."""

    file: str
    old: str
    new: str
    promises: tuple[str, ...]
    url: str = "memory"

    def problem(self) -> str | None:
        """Say why it cannot be applied, if it cannot."""
        if self.old == self.new:
            return f"{self.file}: {self.old!r} is replaced by itself"
        found = (ROOT / "src" / "dulse" / self.file).read_text(encoding="utf-8").count(self.old)
        return None if found == 1 else f"{self.file} has {self.old!r} {found} times, not once: adapt the table"

    def noticed_by(self) -> set[str]:
        """Run the cases of its promises on a copy of the sources with the rule switched off; gives those that break."""
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            shutil.copytree(ROOT / "src", place / "src", ignore=shutil.ignore_patterns("__pycache__"))
            path = place / "src" / "dulse" / self.file
            path.write_text(path.read_text(encoding="utf-8").replace(self.old, self.new), encoding="utf-8")
            return broken_cases(self.promises, self.url, place)


def broken_cases(promises: Iterable[str], url: str, place: Path) -> set[str]:
    """Run the cases of some promises, in the blocking form, on the sources in a folder."""
    where = f"sqlite:///{place}/broker.sqlite" if url == "sqlite" else "memory://mutated"
    only = [f"{promise}.*" for promise in promises]
    command = [sys.executable, "-m", "dulse.testing.conformance", where, "--form", "sync", "--only", *only]
    environment = {**os.environ, "PYTHONPATH": str(place / "src")}
    try:
        done = subprocess.run(
            command, check=False, cwd=place, env=environment, capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return set()
    return set(VERDICT.findall(done.stdout))


def read_table(path: Path = TABLE) -> list[Mutation]:
    """Read the table."""
    with path.open("rb") as file:
        rows = tomllib.load(file)["mutation"]
    return [Mutation(**{**row, "promises": tuple(row["promises"])}) for row in rows]


def proved(mutations: list[Mutation]) -> set[str]:
    """Try every mutation; gives the cases that noticed one."""
    found: set[str] = set()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for number, cases in enumerate(pool.map(Mutation.noticed_by, mutations), 1):
            found |= cases
            print(f"{number} of {len(mutations)} mutations, {len(found)} cases proved", end="\r", flush=True)
    return found


def main() -> int:
    """Run the command line; the result is the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("promise", nargs="?", help="of this promise alone")
    promise: str | None = parser.parse_args().promise
    mutations = [each for each in read_table() if promise is None or promise in each.promises]
    for problem in filter(None, map(Mutation.problem, mutations)):
        print(problem)
    cases = proved([each for each in mutations if not each.problem()])
    print("\n".join(sorted(cases)))
    return 0 if cases else 1


if __name__ == "__main__":
    sys.exit(main())

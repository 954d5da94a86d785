"""Prove the conformance suite: each case must fail when the rule that it is about is switched off in the sources.

The table, tests/conformance/mutations.toml, has for each rule the file (under src/dulse), the text that is replaced
and by what, and the cases that this proves; `url = "sqlite"` where memory has no such rule or leaves the case out. A
case is proved if it fails, in the blocking form, by an assertion or by an error of dulse: what fails by anything else
shows a mutation that merely breaks the code, and a case or child that does not end proves nothing.

    tools/mutations.py                              prove all cases; tells those that are not, and exits by 1
    tools/mutations.py 'leases.*' order*            prove these cases
    tools/mutations.py --record /tmp/record.jsonl   note what was found, and pass over what that file has already
    tools/mutations.py --try 'leases.*'             print which of these cases notice which of all the mutations

To prove a new case, look by --try for a mutation that it notices, or add one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path

from mutants import NOTICED, ROOT, Sources, copied_sources, run_cases

TABLE = ROOT / "tests" / "conformance" / "mutations.toml"

AT_ONCE = 2 * (os.cpu_count() or 1)
"""Mutations tried side by side: most of the time their cases wait."""


@dataclass(frozen=True)
class Mutation:
    """One rule switched off, and the cases that notice."""

    file: str
    old: str
    new: str
    proves: tuple[str, ...]
    url: str = "memory"

    def __str__(self) -> str:
        return f"{self.file}: {self.old.strip().partition(chr(10))[0]!r}"

    def problem(self, text: str) -> str | None:
        """Say why it cannot be applied to the text of its file, if it cannot."""
        if self.old == self.new:
            return f"{self} is replaced by itself"
        found = text.count(self.old)
        return None if found == 1 else f"{self} is found {found} times, not once: adapt the table"

    def key(self, digest: str, names: Sequence[str]) -> str:
        """Give what a record knows this trial by, on sources of this digest."""
        return sha256(json.dumps([digest, self.file, self.old, self.new, self.url, *names]).encode()).hexdigest()

    def outcomes(self, sources: Sources, names: Sequence[str], count: int) -> dict[str, str]:
        """Run cases on a copy of the sources that has it; gives what came of each, see `run_cases`."""
        text = sources.read(self.file)
        problem = self.problem(text)
        if problem:
            return {"": problem}
        with sources.changed(self.file, text.replace(self.old, self.new)) as place:
            return run_cases(names, count, self.url, place)


@dataclass(frozen=True)
class Trial:
    """A mutation and what came of the cases that were run on it."""

    mutation: Mutation
    outcomes: dict[str, str]

    def noticed(self) -> list[str]:
        """Name the cases that noticed."""
        return [name for name, outcome in self.outcomes.items() if outcome == NOTICED]

    def unproved(self, names: Sequence[str]) -> dict[str, str]:
        """Give those of the mutation's own cases that did not notice, each with the reason."""
        ended = self.outcomes.get("", "it did not run")
        own = {name: self.outcomes.get(name, ended) for name in names}
        return {name: f"{outcome} ({self.mutation})" for name, outcome in own.items() if outcome != NOTICED}


def read_table(path: Path = TABLE) -> list[Mutation]:
    """Read the table."""
    with path.open("rb") as file:
        rows = tomllib.load(file)["mutation"]
    return [Mutation(**{**row, "proves": tuple(row["proves"])}) for row in rows]


def problems(mutations: Sequence[Mutation]) -> list[str]:
    """Say which mutations cannot be applied to the sources, and why."""
    texts = {each.file: (ROOT / "src" / "dulse" / each.file).read_text(encoding="utf-8") for each in mutations}
    return [problem for each in mutations if (problem := each.problem(texts[each.file]))]


def chosen(mutation: Mutation, patterns: Sequence[str]) -> list[str]:
    """Give the cases of a mutation that a command line asks for."""
    return [name for name in mutation.proves if any(fnmatchcase(name, pattern) for pattern in patterns)]


class Record:
    """A file of what was found, so that a run which was ended goes on where it was."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path and path.exists() else []
        self._found: dict[str, dict[str, str]] = {row["key"]: row["outcomes"] for row in map(json.loads, lines)}

    def find(self, key: str) -> dict[str, str] | None:
        """Give what came of a trial, if it was made."""
        return self._found.get(key)

    def note(self, key: str, trial: Trial) -> None:
        """Add a trial."""
        if self._path is not None and self.find(key) is None:
            with self._path.open("a", encoding="utf-8") as file:
                print(json.dumps({"key": key, "what": str(trial.mutation), "outcomes": trial.outcomes}), file=file)


def tried(work: Sequence[tuple[Mutation, Sequence[str]]], record: Record, count: int | None = None) -> Iterator[Trial]:
    """Try mutations on cases, some at once, and give each when it is done; `count`: the cases that patterns name."""

    def attempt(mutation: Mutation, names: Sequence[str]) -> tuple[str, Trial]:
        key = mutation.key(sources.digest, names)
        outcomes = record.find(key)
        if outcomes is None:
            outcomes = mutation.outcomes(sources, names, count or len(names))
        return key, Trial(mutation, outcomes)

    with copied_sources() as sources, ThreadPoolExecutor(AT_ONCE) as pool:
        for number, done in enumerate(as_completed([pool.submit(attempt, *each) for each in work]), 1):
            key, trial = done.result()
            record.note(key, trial)
            print(f"{number} of {len(work)}: {trial.mutation}", flush=True)
            yield trial


def unproved(
    mutations: Sequence[Mutation], patterns: Sequence[str] = ("*",), record: Path | None = None
) -> dict[str, str]:
    """Prove cases, each by its own mutation; gives those that are not proved, with the reasons."""
    work = [(each, names) for each in mutations if (names := chosen(each, patterns))]
    found: dict[str, str] = {}
    for trial in tried(work, Record(record)):
        found |= trial.unproved(chosen(trial.mutation, patterns))
    return found


def print_who_notices(mutations: Sequence[Mutation], patterns: Sequence[str], record: Path | None) -> None:
    """Try all mutations on the same cases."""
    count = sum(len(chosen(each, patterns)) for each in mutations)
    for trial in tried([(each, patterns) for each in mutations], Record(record), count):
        for name in trial.noticed():
            print(f"    {name} notices")
        if "" in trial.outcomes:
            print(f"    {trial.outcomes['']}")


def main() -> int:
    """Run the command line; the result is the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", nargs="*", default=["*"], help="a name or pattern of cases to prove")
    parser.add_argument("--try", dest="tried", nargs="+", metavar="CASE", help="try every mutation on these cases")
    parser.add_argument("--record", type=Path, metavar="FILE", help="note what was found; go on from there")
    parser.add_argument("--table", type=Path, default=TABLE, metavar="FILE", help="another table of mutations")
    given = parser.parse_args()
    mutations = read_table(given.table)
    if given.tried:
        print_who_notices(mutations, given.tried, given.record)
        return 0
    missing = unproved(mutations, given.case, given.record)
    print("\n".join(f"{name}: {reason}" for name, reason in sorted(missing.items())) or "all cases are proved")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())

"""Copies of the sources in which one rule is switched off, and what cases of the conformance suite say to that."""

from __future__ import annotations

import compileall
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

SECONDS = 45
"""For a case, whose own limit is less: a child that takes so long has stopped."""

STARTING = 15
"""Seconds more for all that is not a case."""

NOTICED = "noticed"
"""What is said of a case that failed by an assertion or an error of dulse."""

VERDICT = re.compile(r"^ *[\d.]+ s +sync +(\S+): (.+)$")
OVERDUE = re.compile(r"^dulse\.testing\.conformance\.time_limit\.Overdue\b", re.MULTILINE)
CODE_BREAKS = re.compile(r"^(?:Name|UnboundLocal|Attribute|Import|Syntax|Indentation)Error: .*", re.MULTILINE)
"""In the process of the case or in a child of its: no rule is off, the code does not run."""

ORDERLY = (0, 1, 2)
"""Exit statuses of a suite that went through all its cases."""


class Sources:
    """A compiled copy of the sources, from which the copies that lack a rule are made."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._original = folder / "original"
        shutil.copytree(ROOT / "src", self._original)  # with what is compiled of it already
        compileall.compile_dir(self._original, quiet=2)
        files = [path for path in sorted(self._original.rglob("*.*")) if path.is_file() and path.suffix != ".pyc"]
        self.digest = sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()
        """What changes with the sources."""

    def read(self, file: str) -> str:
        """Give the text of one file under src/dulse."""
        return (self._original / "dulse" / file).read_text(encoding="utf-8")

    @contextmanager
    def changed(self, file: str, text: str) -> Iterator[Path]:
        """Give a folder whose `src` is the sources with another text in one file; it is deleted afterwards."""
        with tempfile.TemporaryDirectory(dir=self._folder, ignore_cleanup_errors=True) as folder:
            place = Path(folder)
            shutil.copytree(self._original, place / "src", copy_function=os.link)
            path = place / "src" / "dulse" / file
            path.unlink()
            path.write_text(text, encoding="utf-8")
            for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
                compiled.unlink()
            yield place


@contextmanager
def copied_sources() -> Iterator[Sources]:
    """Copy the sources as they are now."""
    with tempfile.TemporaryDirectory(prefix="dulse-mutants-") as folder:
        yield Sources(Path(folder))


def run_cases(names: Sequence[str], count: int, url: str, place: Path) -> dict[str, str]:
    """Run the cases of these names or patterns, at most `count`, in the blocking form, on the sources in a folder.

    Gives what came of each that ran, which is `noticed` or a few words why it counts for nothing. Where the child had
    to be ended or crashed, "" has the words on that.
    """
    where = f"sqlite:///{place}/broker.sqlite" if url == "sqlite" else "memory://mutated"
    command = [sys.executable, "-m", "dulse.testing.conformance", where, "--form", "sync", "--only", *names]
    environment = {**os.environ, "PYTHONPATH": str(place / "src")}
    seconds = STARTING + SECONDS * count
    with (place / "said").open("w+", encoding="utf-8") as said:
        child = subprocess.Popen(
            command, cwd=place, env=environment, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            status = child.wait(seconds)
            complaint = "" if status in ORDERLY else f"the child ended with status {status}"
        except subprocess.TimeoutExpired:
            complaint = f"the child was ended after {seconds} s"
        finally:
            with suppress(ProcessLookupError):  # its own children, too
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        said.seek(0)
        found = dict(verdicts(said))
    return {**found, "": complaint} if complaint else found


def verdicts(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    """Read what was printed: before each verdict stands the traceback that led to it."""
    before: list[str] = []
    for line in lines:
        verdict = VERDICT.match(line)
        if verdict is None:
            before.append(line)
            continue
        yield verdict[1], _in_words(verdict[2].strip(), "".join(before))
        before.clear()


def _in_words(verdict: str, before: str) -> str:
    if verdict not in {"FAILED", "BROKEN"}:
        return verdict
    breaks = CODE_BREAKS.search(before)
    if verdict == "FAILED" or breaks:
        return f"the mutation merely breaks the code: {breaks[0] if breaks else before.strip().rpartition(chr(10))[2]}"
    return "it did not end in time" if OVERDUE.search(before) else NOTICED

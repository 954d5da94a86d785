"""Run all tests on this Python and the unit tests on each newer one, and write down what came of it."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import environment

ROOT = environment.ROOT
SUMMARY = ROOT / "tests" / "last-run.txt"
UNIT = "not server and not slow and not kill"
SIDE_BY_SIDE = ["--numprocesses", "3", "--dist", "loadfile"]
"""Most of the time tests of faults wait, so more of them than a small machine has processors do no harm."""


@dataclass(frozen=True)
class Stage:
    """One run of the tests."""

    name: str
    python: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    note: str = ""

    @property
    def is_good(self) -> bool:
        """Tell a run in which something passed and nothing failed."""
        return self.passed > 0 and not self.failed and not self.note

    def __str__(self) -> str:
        """Give the line of the summary."""
        counts = f"{self.passed:6} passed {self.failed:4} failed {self.skipped:4} skipped {self.seconds:7.1f} s"
        return f"Python {self.python:<9} {self.name:<6} {counts}  {self.note}".rstrip()


def version_of(python: str) -> tuple[int, ...]:
    """Ask an interpreter for its version; () if it does not run, as a pyenv shim whose version is not chosen."""
    code = "import sys; print(*sys.version_info[:3])"
    try:
        answer = subprocess.run([python, "-c", code], check=False, capture_output=True, text=True)
    except OSError:
        return ()
    return tuple(map(int, answer.stdout.split())) if answer.returncode == 0 else ()


def newer_pythons(folders: Iterable[Path], than: tuple[int, ...]) -> dict[tuple[int, ...], str]:
    """Find the interpreters in `folders` of a later minor version, one each (the latest), by version."""
    paths = (path for folder in folders if folder.is_dir() for path in sorted(folder.glob("python3.*")))
    found = {version_of(str(path)): str(path) for path in paths if re.fullmatch(r"python3\.\d+", path.name)}
    newest = {version[:2]: version for version in sorted(found) if version[:2] > than[:2]}
    return {version: found[version] for version in newest.values()}


def places() -> list[Path]:
    """Name the folders where interpreters are looked for: PATH, and pyenv's versions."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    return [*map(Path, os.get_exec_path()), *sorted(pyenv.glob("3.*/bin"))]


def count(report: Path) -> dict[str, int]:
    """Read the numbers of a JUnit report."""
    suites = ET.parse(report).getroot().iter("testsuite")  # noqa: S314 - pytest wrote it a moment ago
    total = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    for suite in suites:
        for key in total:
            total[key] += int(suite.get(key, 0))
    failed = total["failures"] + total["errors"]
    return {"passed": total["tests"] - failed - total["skipped"], "failed": failed, "skipped": total["skipped"]}


def run(name: str, python: str, version: str, selection: list[str]) -> Stage:
    """Run pytest in an environment that is ready."""
    print(f"\n== Python {version}: {name} tests", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [python, "-m", "pytest", "-q", *SIDE_BY_SIDE, f"--junitxml={report}", *selection]
        status = subprocess.run(command, check=False, cwd=ROOT).returncode
        if not report.exists():
            return Stage(name, version, note=f"pytest ended with status {status} and no report")
        note = "" if status in {0, 1} else f"pytest ended with status {status}"
        return Stage(name, version, **count(report), seconds=time.monotonic() - began, note=note)


def run_newer(python: str, version: str) -> Stage:
    """Make an environment for another interpreter, and run the unit tests in it."""
    folder = ROOT / ".venvs" / version
    try:
        subprocess.run([python, str(ROOT / "tools" / "environment.py"), str(folder), "dev"], check=True)
    except subprocess.CalledProcessError:
        return Stage("unit", version, note="its environment could not be made")
    return run("unit", str(folder / "bin" / "python"), version, ["-m", UNIT])


def summary(stages: list[Stage]) -> str:
    """Write down date, machine and results."""
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    try:
        commit = subprocess.run(git, check=False, capture_output=True, text=True).stdout.strip()
    except FileNotFoundError:
        commit = ""
    lines = [
        f"Date     {datetime.now(tz=UTC):%Y-%m-%d %H:%M} UTC",
        f"Commit   {commit or 'unknown'}",
        f"Machine  {platform.platform()}, {os.cpu_count()} processors",
        *map(str, stages),
    ]
    if len(stages) == 1:
        lines.append("No newer Python was found on PATH or among pyenv's versions.")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run every stage even if one fails; the result is the exit status."""
    stages = [run("all", sys.executable, platform.python_version(), [])]
    for version, python in sorted(newer_pythons(places(), sys.version_info[:3]).items()):
        stages.append(run_newer(python, ".".join(map(str, version))))
    text = summary(stages)
    SUMMARY.write_text(text, encoding="utf-8")
    print(f"\n{text}\nThis is {SUMMARY.relative_to(ROOT)}.")
    return 0 if all(stage.is_good for stage in stages) else 1


if __name__ == "__main__":
    sys.exit(main())

"""Newer interpreters are found, and results are counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from every_python import Stage, count, newer_pythons, summary

REPORT = """<?xml version="1.0"?>
<testsuites>
  <testsuite name="pytest" tests="10" failures="1" errors="2" skipped="3" time="1.5" />
</testsuites>
"""


def interpreter(folder: Path, name: str, *, says: str, status: int = 0) -> Path:
    """Make a program that answers as an interpreter of a version would."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho {says}\nexit {status}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_the_latest_of_each_newer_minor_version_is_found(tmp_path: Path) -> None:
    interpreter(tmp_path / "a", "python3.12", says="3 12 1")
    later = interpreter(tmp_path / "b", "python3.12", says="3 12 9")
    other = interpreter(tmp_path / "b", "python3.14", says="3 14 0")
    found = newer_pythons([tmp_path / "a", tmp_path / "b"], (3, 11, 7))
    assert found == {(3, 12, 9): str(later), (3, 14, 0): str(other)}


def test_the_same_and_older_versions_are_not_newer(tmp_path: Path) -> None:
    interpreter(tmp_path, "python3.11", says="3 11 9")
    interpreter(tmp_path, "python3.10", says="3 10 1")
    assert newer_pythons([tmp_path, tmp_path / "missing"], (3, 11, 7)) == {}


def test_an_interpreter_that_does_not_run_is_passed_over(tmp_path: Path) -> None:
    interpreter(tmp_path, "python3.12", says="not chosen", status=127)
    assert newer_pythons([tmp_path], (3, 11, 7)) == {}


def test_a_program_beside_an_interpreter_is_not_taken_for_one(tmp_path: Path) -> None:
    interpreter(tmp_path, "python3.12-config", says="3 12 1")
    assert newer_pythons([tmp_path], (3, 11, 7)) == {}


def test_errors_count_as_failures_and_skips_do_not_count_as_passed(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(REPORT, encoding="utf-8")
    assert count(report) == {"passed": 4, "failed": 3, "skipped": 3}


@pytest.mark.parametrize(
    "stage",
    [
        Stage("unit", "3.12.1"),
        Stage("unit", "3.12.1", passed=5, failed=1),
        Stage("unit", "3.12.1", passed=5, note="pytest ended with status 3"),
    ],
)
def test_a_stage_in_which_nothing_passed_or_something_failed_is_not_good(stage: Stage) -> None:
    assert not stage.is_good


def test_the_summary_has_a_line_for_each_stage() -> None:
    stages = [Stage("all", "3.11.7", passed=90, skipped=2, seconds=4.25), Stage("unit", "3.12.1", note="no report")]
    lines = summary(stages).splitlines()
    assert lines[0].startswith("Date ")
    assert "Python 3.11.7    all        90 passed    0 failed    2 skipped     4.2 s" in lines
    assert lines[-1].endswith("no report")


def test_the_summary_says_that_there_was_no_newer_python() -> None:
    assert summary([Stage("all", "3.11.7", passed=1)]).endswith(
        "No newer Python was found on PATH or among pyenv's versions.\n"
    )

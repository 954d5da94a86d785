"""`make demo` keeps its promise, with rich and without."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).resolve().parent.parent / "examples" / "demo.py"


@pytest.mark.kill
@pytest.mark.parametrize("hidden", ["nothing", "rich"])
def test_the_demo_kills_a_worker_and_loses_no_line(tmp_path: Path, hidden: str) -> None:
    text = tmp_path / "poem.txt"
    text.write_text("".join(f"{'abcxyz'[number % 6]} line {number}\n\n" for number in range(200)))
    code = f"import runpy, sys; sys.modules[{hidden!r}] = None; runpy.run_path(sys.argv[0], run_name='__main__')"
    code = f"import sys; sys.argv = {[str(DEMO), str(text)]!r}; {code}"
    answer = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, encoding="utf-8")
    assert (answer.returncode, answer.stderr) == (0, "")
    told = {name.strip(): number for name, number in map(row, answer.stdout.splitlines()) if number}
    assert (told["sent"], told["done"], told["lost"], told["words"]) == ("400", "400", "0", "600")
    assert "killed by SIGKILL" in answer.stdout


def row(line: str) -> tuple[str, str]:
    """Take a line of the table apart."""
    name, _, number = line.strip("│ ").replace("│", " ").rpartition(" ")
    return name, number


def test_the_demo_refuses_a_file_that_is_missing() -> None:
    answer = subprocess.run([sys.executable, str(DEMO), "no/such.txt"], check=False, capture_output=True, text=True)
    assert (answer.returncode, answer.stderr) == (2, "'no/such.txt' does not exist: name a text file, or none at all\n")

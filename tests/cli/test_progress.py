"""The progress bar: on a terminal, and nowhere else."""

from __future__ import annotations

import os
import pty
from pathlib import Path
from typing import Any

import pytest


def shown(process: Any, terminal: int) -> str:
    """Give all that a process wrote to its terminal."""
    text = b""
    while True:
        try:
            chunk = os.read(terminal, 1 << 16)
        except OSError:  # the other end is closed, on Linux
            break
        if not chunk:
            break
        text += chunk
    os.close(terminal)
    assert process.wait(30) == 0
    return text.decode()


@pytest.mark.parametrize(("arguments", "has_bar"), [([], True), (["--quiet"], False)])
def test_publishing_shows_its_progress_on_a_terminal(
    start: Any, work: str, tmp_path: Path, arguments: list[str], has_bar: bool
) -> None:
    (tmp_path / "lines").write_text("line\n" * 5000)
    terminal, stderr = pty.openpty()
    process = start("publish", "-q", work, str(tmp_path / "lines"), *arguments, stderr=stderr)
    os.close(stderr)
    text = shown(process, terminal)
    assert ("5,000 messages" in text) is has_bar
    assert ("━" in text) is has_bar


def test_moving_shows_its_progress_on_a_terminal(run: Any, start: Any, work: str) -> None:
    run("declare", "queue", "there")
    run("publish", "-q", work, input="line\n" * 500)
    terminal, stderr = pty.openpty()
    process = start("move", work, "there", stderr=stderr)
    os.close(stderr)
    text = shown(process, terminal)
    assert "500/500" in text
    assert "moved 500 of 500 messages" in text


def test_there_is_no_bar_where_nobody_looks_at_it(run: Any, work: str) -> None:
    assert run("publish", "-q", work, input="line\n" * 500).stderr.count("\n") == 1

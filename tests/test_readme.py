"""README.md is true: every block of code in it is run, in its order, and says what it should."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
LONGEST = 75
"""Lines of a page."""


class Block(NamedTuple):
    """A block of code."""

    language: str
    code: str


BLOCKS = [Block(*found) for found in re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)]


def block(words: str) -> Block:
    """Give the one block that holds these words."""
    (found,) = (block for block in BLOCKS if words in block.code)
    return found


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Have the command `dulse` on the path, installed or not."""
    folder = Path(sys.executable).parent
    if not (folder / "dulse").exists():
        folder = tmp_path / "bin"
        folder.mkdir()
        script = folder / "dulse"
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m dulse.cli "$@"\n')
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def run(block: Block, folder: Path, environment: dict[str, str]) -> str:
    """Run a block that comes to an end, and give what it wrote to stdout."""
    command = ["/bin/sh", "-e", "-c"] if block.language == "sh" else [sys.executable, "-W", "error", "-c"]
    answer = subprocess.run(
        [*command, block.code], check=False, capture_output=True, text=True, cwd=folder, env=environment
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


@pytest.mark.parametrize(
    ("words", "output"),
    [
        ('Exchange("news"', "sport.football 3\n"),
        ("asyncio.run", "hello from asyncio\n"),
        ("was: from kombu", "task 1\n"),
    ],
)
def test_a_program_runs_as_it_stands(tmp_path: Path, environment: dict[str, str], words: str, output: str) -> None:
    assert run(block(words), tmp_path, environment) == output


def test_the_worker_gets_what_the_command_line_publishes(tmp_path: Path, environment: dict[str, str]) -> None:
    shown = run(block("cat.png"), tmp_path, environment)
    assert re.search(r"^pictures +1 ", shown, re.MULTILINE)
    worker = [sys.executable, "-c", block("ConsumerMixin):").code]
    with subprocess.Popen(worker, stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "shrinking cat.png\n"
        process.kill()


def test_the_session_at_the_shell_works(tmp_path: Path, environment: dict[str, str]) -> None:
    lines = run(block("--follow"), tmp_path, environment).splitlines()
    assert [line[:12] for line in lines[:5]] == [f'{{"body": "{number}"' for number in range(1, 6)]
    assert lines[5:] == ["1", "2", "3"]


def test_every_block_is_run_by_a_test() -> None:
    ours = Path(__file__).read_text(encoding="utf-8")
    known = [*re.findall(r'block\("(.*?)"\)', ours), 'Exchange("news"', "asyncio.run", "was: from kombu"]
    assert [each.code for each in BLOCKS if not any(words in each.code for words in known)] == []


def test_every_link_leads_to_a_file() -> None:
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_tasks_named_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for task in re.findall(r"`make ([a-z-]+)`", README):
        assert re.search(rf"^{task}:", makefile, re.MULTILINE), task


def test_the_transports_named_are_those_that_are_served() -> None:
    from dulse.drivers import schemes

    table = README[README.index("## Transports") :].split("\n## ")[0]
    assert sorted(set(re.findall(r"`(\w+(?:\+[a-z]+)?)(?:\+…)?://", table))) == schemes()


def test_it_is_short() -> None:
    prose = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
    assert len(textwrap.wrap(prose, 120)) <= LONGEST

"""Count the words of a text by worker processes, kill one of them halfway, and see that nothing is lost.

Run it by `make demo`, or `python examples/demo.py [FILE]`; by default it reads the largest documents of this project.
The lines are published through a topic exchange to an SQLite broker in a temporary folder. Workers take them, count
the words and publish what they found before they acknowledge the line: the lines of a worker that dies in between are
delivered again, and whoever collects the results knows each line by its number.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from dulse import Connection, Exchange, Queue, binding

ROOT = Path(__file__).resolve().parent.parent
LINES = 4000
"""As many lines of the project's own documents are enough."""
LEASE = "2s"
"""A dead worker's messages are given to others after this time."""
PREFETCH = 20
"""Lines of each queue that a worker holds at most: as many may be delivered again when it dies."""
DEADLINE = 30.0
"""Seconds without a result after which the rest counts as lost."""

text = Exchange("text", "topic")
"""Keys are <document>.<first letter of the line>."""
QUEUES = [
    Queue("vowels", bindings=[binding(text, f"*.{letter}") for letter in "aeiou"]),
    Queue("consonants", bindings=[binding(text, f"*.{letter}") for letter in "bcdfghjklmnpqrstvwxyz"]),
    Queue("others", bindings=[binding(text, "*.other")]),
]
results = Queue("results")


def words_of(line: str) -> list[str]:
    """Find the words of a line."""
    return re.findall(r"\w+", line.lower())


# ---------------------------------------------------------------------------------------------------- the worker


def work(url: str) -> None:
    """Count the words of each line, for ever."""
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of us: who started us will tell us to end
    with Connection(url) as connection:
        producer = connection.Producer()
        with connection.Consumer(QUEUES, prefetch_count=PREFETCH, accept=["text"]) as consumer:
            for message in consumer:
                found = {
                    "line": message.headers["line"],
                    "words": Counter(words_of(message.payload)),
                    "again": message.delivery_info["redelivered"],
                    "worker": os.getpid(),
                }
                producer.publish(found, routing_key=results.name)
                message.ack()


def _leave(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


class Workers:
    """The worker processes."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self) -> int:
        """Start one and give its process id."""
        process = subprocess.Popen([sys.executable, __file__, "--work", self._url])
        self.running.append(process)
        return process.pid

    def kill(self) -> int:
        """End the first one by SIGKILL, which nobody can prepare for."""
        victim = self.running.pop(0)
        victim.kill()
        victim.wait()
        return victim.pid

    def stop(self) -> None:
        """Let all of them end in order."""
        for process in self.running:
            process.terminate()
        for process in self.running:
            process.wait()


# -------------------------------------------------------------------------------------------------- what is counted


@dataclass
class Tally:
    """What the workers have told."""

    words: Counter[str] = field(default_factory=Counter)
    lines: set[int] = field(default_factory=set)
    again: set[int] = field(default_factory=set)
    doubled: int = 0
    by_worker: Counter[int] = field(default_factory=Counter)

    def add(self, found: dict[str, Any]) -> None:
        """Count a line, once."""
        line = found["line"]
        if found["again"]:
            self.again.add(line)
        if line in self.lines:
            self.doubled += 1
            return
        self.lines.add(line)
        self.words.update(found["words"])
        self.by_worker[found["worker"]] += 1


def read(path: Path | None) -> tuple[str, list[tuple[str, str]]]:
    """Read the text: a name for it, and each line with the name of its document."""
    if path is not None:
        return path.name, [(path.stem, line) for line in path.read_text("utf-8", "replace").splitlines()]
    lines: list[tuple[str, str]] = []
    count = 0
    for document in _documents():
        count += 1
        lines += [(document.stem, line) for line in document.read_text("utf-8", "replace").splitlines()]
        if len(lines) >= LINES:
            break
    return f"the {count} largest documents of this project", lines


def _documents() -> Iterator[Path]:
    """Find the project's texts, prose before programs and the largest first."""
    for pattern in ("*.md", "docs/**/*.md", "src/**/*.py", "tests/**/*.py"):
        yield from sorted(ROOT.glob(pattern), key=lambda path: (-path.stat().st_size, path))


def key_of(document: str, line: str) -> str:
    """Make the routing key of a line."""
    words = words_of(line)
    first = words[0][0] if words else ""
    return f"{document.replace('.', '-')[:60]}.{first if first.isascii() and first.isalpha() else 'other'}"


# ------------------------------------------------------------------------------------------------------- the screen


class Screen:
    """Tells how far it is: by rich if it is installed, else in plain lines."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._told = 0
        self._bar: Any = None
        try:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
        except ModuleNotFoundError:
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns)
        self._bar.start()
        self._task = self._bar.add_task("lines counted", total=total)

    def say(self, words: str) -> None:
        """Say one thing that happened."""
        if self._bar is None:
            print(words, flush=True)
        else:
            self._bar.console.print(words, highlight=False)

    def reach(self, done: int) -> None:
        """Show how many lines are counted."""
        if self._bar is not None:
            self._bar.update(self._task, completed=done)
        elif done - self._told >= self._total / 10 or done == self._total:
            self._told = done
            print(f"{done:>8,} of {self._total:,} lines counted", flush=True)

    def close(self) -> None:
        """Leave the screen as it is."""
        if self._bar is not None:
            self._bar.stop()


def show(rows: Sequence[tuple[str, str]]) -> None:
    """Print the table at the end."""
    try:
        from rich.console import Console
        from rich.table import Table
    except ModuleNotFoundError:
        for name, value in rows:
            print(f"{name:<32}{value:>12}")
        return
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in rows:
        table.add_row(name, value, style="bold" if name.startswith("lost") else "")
    Console().print(table)


# ------------------------------------------------------------------------------------------------------------ all of it


def run(path: Path | None) -> int:
    """Send, count, kill and check; the result is the exit status."""
    name, lines = read(path)
    if not lines:
        print(f"{name} has no lines: name another file", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="dulse-") as folder:
        # What is published survives a SIGKILL; with durability "full", the default, a power loss as well.
        url = f"sqlite:///{folder}/broker.db?lease={LEASE}&durability=normal"
        screen, tally, workers = Screen(len(lines)), Tally(), Workers(url)
        try:
            with Connection(url) as connection:
                began = time.monotonic()
                send(connection, lines)
                sent_in = time.monotonic() - began
                screen.say(f"{len(lines):,} lines of {name} sent in {sent_in:.2f} s, now in {_depths(connection)}")
                workers.start()
                workers.start()
                began = time.monotonic()
                collect(connection, len(lines), tally, workers, screen)
                counted_in = time.monotonic() - began
        finally:
            workers.stop()
            screen.close()
    return report(lines, tally, sent_in, counted_in)


def send(connection: Connection, lines: Sequence[tuple[str, str]]) -> None:
    """Publish each line with its number."""
    channel = connection.default_channel
    for queue in (*QUEUES, results):
        queue(channel).declare()
    connection.Producer(exchange=text).publish_many(
        (line, {"routing_key": key_of(document, line), "headers": {"line": number}, "mandatory": True})
        for number, (document, line) in enumerate(lines)
    )


def _depths(connection: Connection) -> str:
    found = connection.manager.queues(*(queue.name for queue in QUEUES))
    return ", ".join(f"{each.name} {each.ready:,}" for each in found)


def collect(connection: Connection, count: int, tally: Tally, workers: Workers, screen: Screen) -> None:
    """Take the results, and kill a worker when half of them are there."""
    is_killed = False
    with connection.Consumer([results], prefetch_count=100, accept=["json"]) as consumer:
        for message in consumer.messages(timeout=DEADLINE):
            tally.add(message.payload)
            message.ack()
            screen.reach(len(tally.lines))
            if not is_killed and len(tally.lines) >= count / 2:
                is_killed = True
                screen.say(f"worker {workers.kill()} killed by SIGKILL, worker {workers.start()} takes its place")
            if len(tally.lines) == count:
                return


def report(lines: Sequence[tuple[str, str]], tally: Tally, sent_in: float, counted_in: float) -> int:
    """Compare with a direct count, and print what came of it."""
    direct = Counter(word for _, line in lines for word in words_of(line))
    lost = len(lines) - len(tally.lines)
    show(
        [
            ("sent", f"{len(lines):,}"),
            ("done", f"{len(tally.lines):,}"),
            ("lost", f"{lost:,}"),
            ("delivered again", f"{len(tally.again):,}"),
            ("counted twice, and noticed", f"{tally.doubled:,}"),
            ("words", f"{tally.words.total():,}"),
            ("seconds to send", f"{sent_in:.2f}"),
            ("seconds to count", f"{counted_in:.2f}"),
            ("messages/s sent", f"{len(lines) / sent_in:,.0f}"),
            ("messages/s counted and answered", f"{len(lines) / counted_in:,.0f}"),
        ]
    )
    if lost or tally.words != direct:
        print(f"LOST: a direct count finds {direct.total():,} words in {len(lines):,} lines", file=sys.stderr)
        return 1
    print("Every line was counted once; a direct count finds the same words.")
    print(f"A dead worker's messages are back after its lease of {LEASE}, which is part of the seconds to count.")
    print("Next: README.md has a first program and the `dulse` command; ARCHITECTURE.md shows how it is built.")
    return 0


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Count the words of a text by workers, one of which is killed.")
    parser.add_argument("file", nargs="?", type=Path, help="any text; by default the largest documents of the project")
    parser.add_argument("--work", metavar="URL", help=argparse.SUPPRESS)
    options = parser.parse_args()
    logging.getLogger("dulse").setLevel(logging.ERROR)  # it warns of each dead worker, of which we tell ourselves
    if options.work:
        work(options.work)
        return 0
    if options.file is not None and not options.file.is_file():
        what = "is no file" if options.file.exists() else "does not exist"
        print(f"{str(options.file)!r} {what}: name a text file, or none at all", file=sys.stderr)
        return 2
    try:
        return run(options.file)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())

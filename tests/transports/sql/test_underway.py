"""On SQLite a thread never waits for itself, nor does a writer begin again because somebody reads."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType, FunctionType

import pytest

from dulse.transports.sql.alchemy import Engine
from dulse.transports.sql.connections import Connections
from dulse.transports.sql.dialects import Dialect
from dulse.transports.sql.link import Link

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")

SECONDS = 20.0


class WithoutLog(Engine):
    """An engine whose file has a rollback journal, as SQLite's and Django's files have unless told otherwise."""

    def dialect(self) -> Dialect:
        return replace(super().dialect(), prologue=("PRAGMA synchronous = FULL", "PRAGMA busy_timeout = 0"))


@pytest.fixture(params=[Engine, WithoutLog])
def connections(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connections]:
    found = Connections(request.param(f"sqlite:///{tmp_path / 'file'}", {}, None))
    found.open(SECONDS)
    found.once(None, lambda link: link.run("CREATE TABLE word (text)"))
    yield found
    found.close()


def add(link: Link, text: str) -> None:
    link.run("INSERT INTO word VALUES (%s)", (text,))


def words(link: Link) -> list[str]:
    return [text for (text,) in link.rows("SELECT text FROM word ORDER BY rowid")]


@pytest.mark.parametrize("moment", ["before", "between", "after"])
@pytest.mark.parametrize("how", ["once", "write"])
def test_a_handler_may_write_while_its_thread_does(connections: Connections, how: str, moment: str) -> None:
    struck: list[str] = []

    def on_signal(number: int, frame: FrameType | None) -> None:
        connections.write(None, add, "handler")

    def work(link: Link) -> None:
        for step in ("before", "one", "between", "two", "after"):
            if step in {"one", "two"}:
                add(link, step)
            elif step == moment and not struck:
                struck.append(step)
                signal.raise_signal(signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, on_signal)
    try:
        getattr(connections, how)(None, work)
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert connections.once(None, words) == ["handler", "one", "two"]


@pytest.mark.parametrize("before_it_raises", [True, False])
def test_what_a_handler_raises_reaches_its_program(connections: Connections, before_it_raises: bool) -> None:
    def on_signal(number: int, frame: FrameType | None) -> None:
        if before_it_raises:
            connections.write(None, add, "handler")
        raise LookupError(number)

    def work(link: Link) -> None:
        add(link, "one")
        signal.raise_signal(signal.SIGUSR1)
        add(link, "two")

    before = signal.signal(signal.SIGUSR1, on_signal)
    try:
        with pytest.raises(LookupError):
            connections.write(None, work)
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert connections.once(None, words) == ["handler"] * before_it_raises


def test_work_that_stumbles_over_being_undone_is_done_again(connections: Connections) -> None:
    tries: list[int] = []

    def work(link: Link) -> str:
        tries.append(len(tries))
        link.run("INSERT INTO word VALUES (%s)", ("one",))
        if len(tries) == 1:
            signal.raise_signal(signal.SIGUSR1)
        found = link.rows("SELECT text FROM word WHERE text = 'one'")
        return str(found[0][0])

    of_ours = FunctionType(work.__code__, globals() | {"__name__": "dulse.work"}, closure=work.__closure__)
    before = signal.signal(signal.SIGUSR1, lambda *_: connections.write(None, add, "handler"))
    try:
        assert connections.write(None, of_ours) == "one"
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert tries == [0, 1]
    assert connections.once(None, words) == ["handler", "one"]


def test_a_handler_may_write_at_any_moment_of_a_step_that_another_has_undone(connections: Connections) -> None:
    """A call of a function stands for a moment: a handler comes between any two."""
    written: list[str] = []
    moments, moment = 1, 0

    def write(text: str) -> None:
        connections.write(time.monotonic() + 2, add, text)
        written.append(text)

    def look(_frame: FrameType, _event: str, _argument: object) -> None:
        nonlocal moments
        moments += 1
        if moments == moment:
            sys.setprofile(None)
            write(f"second {moment}")

    def work(link: Link) -> None:
        nonlocal moments
        add(link, f"work {moment}")
        words(link)
        if f"first {moment}" not in written:
            write(f"first {moment}")
            moments = 0
            sys.setprofile(look)
        words(link)
        add(link, f"rest {moment}")

    while moments >= moment:
        moment += 1
        try:
            connections.write(None, work)
        finally:
            sys.setprofile(None)
        written += [f"work {moment}", f"rest {moment}"]

    assert moment > 20
    assert sorted(connections.once(None, words)) == sorted(written)


def test_a_handler_may_write_while_its_thread_reads(connections: Connections) -> None:
    seen: list[list[str]] = []

    def work(link: Link) -> list[str]:
        seen.append(words(link))
        if len(seen) == 1:
            connections.write(None, add, "handler")
        return words(link)

    assert connections.read(None, work) == ["handler"]
    assert seen == [[], ["handler"]]


def test_a_writer_waits_for_readers_with_its_work_done(connections: Connections) -> None:
    has_read, may_end = threading.Event(), threading.Event()
    begun: list[int] = []

    def read(link: Link) -> None:
        words(link)
        has_read.set()
        may_end.wait(SECONDS)

    def write(link: Link) -> None:
        begun.append(len(begun))
        add(link, "one")
        if len(begun) == 1:
            threading.Timer(0.2, may_end.set).start()

    reader = threading.Thread(target=connections.read, args=(None, read))
    reader.start()
    has_read.wait(SECONDS)
    connections.write(time.monotonic() + SECONDS, write)
    reader.join()

    assert begun == [0]
    assert connections.once(None, words) == ["one"]

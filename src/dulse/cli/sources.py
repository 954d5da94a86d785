"""Messages as they are given to `dulse publish`: lines, JSON lines, records of `consume --format json`, or files."""

from __future__ import annotations

import io
import json
import mimetypes
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from dulse.cli.failures import Failed
from dulse.cli.records import UNREADABLE, read_record

STDIN = "-"
CHUNK = 1 << 16
LONGEST_LINE = 1 << 26
"""Bytes; whoever forgets --format files is told so before memory is full."""


class Item(NamedTuple):
    """A message to publish, and arguments of `publish` that are its own."""

    body: Any
    options: dict[str, Any]


Parse = Callable[[bytes], Item | None]
Wait = Callable[[int | None], AbstractContextManager[None]]
"""Entered while input is waited for, with the descriptor that it comes from."""


def parse_line(line: bytes) -> Item:
    """Take a line as it is."""
    return Item(line, content_of(line))


def parse_json(line: bytes) -> Item | None:
    """Take a line for the JSON document it is; blank ones are none."""
    if not line.strip():
        return None
    try:
        json.loads(line)
    except UNREADABLE as error:
        raise Failed(f"is not JSON: {error}") from error
    return Item(line, {"content_type": "application/json", "content_encoding": "utf-8"})


def parse_record(line: bytes) -> Item | None:
    """Take a line for a message as `consume --format json` writes it; blank ones are none."""
    return Item(*read_record(line)) if line.strip() else None


PARSERS: dict[str, Parse] = {"lines": parse_line, "jsonl": parse_json, "records": parse_record}


def content_of(body: bytes, path: str = STDIN) -> dict[str, Any]:
    """Tell what bytes are: by the name of their file, else text if they are UTF-8."""
    kind = None if path == STDIN else mimetypes.guess_type(path)[0]
    try:
        body.decode()
    except UnicodeDecodeError:
        return {"content_type": kind or "application/octet-stream", "content_encoding": "binary"}
    return {"content_type": kind or "text/plain", "content_encoding": "utf-8"}


def size_of(paths: Sequence[str]) -> int | None:
    """Give the bytes that there are to read; None where that cannot be known."""
    total = 0
    for path in paths:
        found = os.fstat(0) if path == STDIN else Path(path).stat()
        if not stat.S_ISREG(found.st_mode):
            return None
        total += found.st_size
    return total


def read_files(paths: Sequence[str]) -> Iterator[tuple[list[Item], int]]:
    """Give each file as one message, and the bytes that were read for it."""
    for path in paths:
        with _opened(path) as stream:
            body = stream.read()
        yield [Item(body, content_of(body, path))], len(body)


def read_lines(paths: Sequence[str], parse: Parse, wait: Wait) -> Iterator[tuple[list[Item], int]]:
    """Give the messages of all lines that are there at the time, and the bytes that were read for them.

    What follows is waited for when those are asked for, so a slow writer's lines are not held back.
    """
    for path in paths:
        number = 0
        for lines, read in _lines(path, wait):
            items: list[Item] = []
            for number, line in enumerate(lines, number + 1):  # noqa: B020 - it goes on counting
                try:
                    item = parse(line.removesuffix(b"\r"))
                except Failed as failure:
                    where = "stdin" if path == STDIN else path
                    raise Failed(f"line {number} of {where} {failure}") from failure
                if item is not None:
                    items.append(item)
            yield items, read


def _lines(path: str, wait: Wait) -> Iterator[tuple[list[bytes], int]]:
    with _opened(path) as stream:
        descriptor = _descriptor(stream)
        parts: list[bytes] = []
        length = 0
        while True:
            with wait(descriptor):
                chunk = stream.read1(CHUNK)  # type: ignore[attr-defined]
            if not chunk:
                break
            *lines, rest = chunk.split(b"\n")
            if lines:
                lines[0] = b"".join((*parts, lines[0]))
                parts, length = [], 0
            parts.append(rest)
            length += len(rest)
            if length > LONGEST_LINE:
                text = (
                    f"a line has more than {LONGEST_LINE} bytes: say --format files if the whole input is one message"
                )
                raise Failed(text)
            yield lines, len(chunk)
        if length:
            yield [b"".join(parts)], 0


def _descriptor(stream: BinaryIO) -> int | None:
    try:
        return stream.fileno()
    except io.UnsupportedOperation:  # what stands in for stdin may be no file
        return None


def _opened(path: str) -> AbstractContextManager[BinaryIO]:
    if path == STDIN:
        return nullcontext(sys.stdin.buffer)
    return Path(path).open("rb")

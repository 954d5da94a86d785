"""rabbitmq-c, by a program of ours in C that is compiled when it is first wanted (Debian: librabbitmq-dev, gcc)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit

from benchmarks import amqp_raw
from benchmarks.amqp_side import Shape

SOURCE = Path(__file__).with_name("rabbitmq_c.c")
PROGRAM = Path(__file__).with_name(".venv") / "rabbitmq_c"
FLAGS = ("-O2", "-Wno-deprecated-declarations")


def compiled() -> Path:
    """Give the program, made anew where its source is newer."""
    if not PROGRAM.exists() or PROGRAM.stat().st_mtime < SOURCE.stat().st_mtime:
        PROGRAM.parent.mkdir(exist_ok=True)
        subprocess.run([os.environ.get("CC", "cc"), *FLAGS, "-o", PROGRAM, SOURCE, "-lrabbitmq"], check=True)
    return PROGRAM


def measured(url: str, shape: Shape, count: int) -> str:
    """Do a shape, and give the cost as JSON."""
    filler = amqp_raw.opened(url, "off")
    if shape.kind == "consume":
        for _ in range(count):
            filler.publish(b"x" * shape.size)
    filler.settle()
    filler.close()
    parts = urlsplit(url)
    where = (parts.hostname, parts.port or 5672, parts.username, parts.password, unquote(parts.path[1:]) or "/")
    what = (shape.kind, 4 if shape.kind == "ping" else shape.size, shape.confirms, shape.prefetch, int(shape.no_ack))
    words = [str(word) for word in (compiled(), *where, *what, count)]
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

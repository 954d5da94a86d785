"""The program of `tests.faults.fray` on Redis: started with a folder that has a file `url`, and a Plan."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from dulse.links.redis.sync.line import Line
from dulse.testing.killing import Failpoint, die, mortal
from dulse.transport import Driver
from dulse.transports import redis_driver
from dulse.virtual.driver import in_threads, virtual_driver
from tests.faults import fray, workers


def broker_url(_store: str, folder: Path) -> str:
    return (folder / "url").read_text()


def mortal_driver(_store: str, failpoint: Failpoint) -> Driver:
    """Serve Redis by the code that ships, over a storage that dies."""
    return virtual_driver(
        "redis",
        redis_driver.RedisOptions,
        lambda settings, options: mortal(redis_driver._storage(settings, options), failpoint),
        in_threads,
        driver_version=lambda: "mortal",
    )


class Counted:
    """Counts what is sent, and dies before one of them, or when it is with the kernel and nothing was answered."""

    left = 0

    def __init__(self, send: Any) -> None:
        self._send = send

    def __call__(self, line: Line, data: bytes, *more: Any) -> None:
        Counted.left -= 1
        if Counted.left == 0:
            if len(data) % 2:
                line.stream.send(data, *more[-1:])
            die()


def die_at_statement(_store: str, number: int) -> None:
    """Kill this process as it is about to send to the server for the n-th time."""
    Counted.left = number
    for name in ("exchange", "send"):
        plain = getattr(Line, name)
        count = Counted(plain)

        def counted(line: Line, data: bytes, *more: Any, plain: Any = plain, count: Counted = count) -> Any:
            count(line, data, *more)
            return plain(line, data, *more)

        setattr(Line, name, counted)


if __name__ == "__main__":
    for name in ("broker_url", "mortal_driver", "die_at_statement"):
        setattr(workers, name, globals()[name])
    fray.Fray(Path(sys.argv[1]), fray.Plan(**json.loads(sys.argv[2]))).run()

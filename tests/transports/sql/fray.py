"""The program of `tests.faults.fray` on a database: started with a folder that has a file `url`, and a Plan."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import sqlalchemy.dialects.postgresql.psycopg  # noqa: F401 - before the forks: who is to die soon shall have begun

from dulse.model.parameters import parse_url
from dulse.testing.killing import Failpoint, die, mortal
from dulse.transport import Driver
from dulse.transports import sql_driver
from dulse.transports.sql import drivers
from dulse.virtual.driver import in_threads, virtual_driver
from tests.faults import fray, workers


def broker_url(_store: str, folder: Path) -> str:
    return (folder / "url").read_text()


def mortal_driver(_store: str, failpoint: Failpoint) -> Driver:
    """Serve databases by the code that ships, over a storage that dies; under the name that the URL has."""
    return virtual_driver(
        parse_url(broker_url("", Path(sys.argv[1]))).transport,
        sql_driver.SQLOptions,
        lambda settings, options: mortal(sql_driver._storage(settings, options), failpoint),
        in_threads,
        driver_version=lambda: "mortal",
    )


class Traced:
    """A cursor that counts statements, and dies at one of them."""

    left = 0

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def execute(self, *arguments: Any) -> Any:
        Traced.left -= 1
        if Traced.left == 0:
            die()
        return self._cursor.execute(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


def die_at_statement(_store: str, number: int) -> None:
    """Kill this process as it is about to send that statement."""
    Traced.left = number
    make = drivers.cursor
    setattr(drivers, "cursor", lambda connection: Traced(make(connection)))  # noqa: B010 - its type is another


if __name__ == "__main__":
    for name in ("broker_url", "mortal_driver", "die_at_statement"):
        setattr(workers, name, globals()[name])
    fray.Fray(Path(sys.argv[1]), fray.Plan(**json.loads(sys.argv[2]))).run()

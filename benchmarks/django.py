"""The django transport beside a queue of the bare ORM, on one PostgreSQL: ``python -m benchmarks.django [--rounds N]``.

Kombu 5.7 has no transport for Django. The ORM's queue is what a project would write by itself: a row a message, taken
by ``select_for_update(skip_locked=True)`` and deleted in one transaction. It has no leases, so that a handler would
have to work within that transaction; no routing, no priorities, and nobody who wakes consumers.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.bodies import BYTES
from benchmarks.contenders import dulse_blocking
from benchmarks.measure import Comparison, Contender, compare
from benchmarks.report import lines
from dulse import Connection, Queue
from tests.servers.authority import Authority
from tests.servers.postgresql import PostgreSQL
from tests.transports.django.databases import added, migrate, postgresql_config, sqlite_config

TEXT = BYTES.decode()
BATCH = 100


def orm(alias: str, count: int, size: int) -> Contender:
    """Keep a queue by the bare ORM, `size` messages at a time."""
    from django.db import connections, transaction

    from tests.transports.django.shop.models import Order

    rows = Order.objects.using(alias)
    locks = connections[alias].features.has_select_for_update_skip_locked

    def publish(number: int) -> None:
        for _ in range(number // size):
            if size == 1:
                rows.create(what=TEXT)
            else:
                rows.bulk_create([Order(what=TEXT) for _ in range(size)])

    def consume(number: int) -> None:
        found = rows.order_by("id")
        found = found.select_for_update(skip_locked=True) if locks else found
        for _ in range(number // size):
            with transaction.atomic(using=alias):
                taken = list(found[:size])
                rows.filter(pk__in=[row.pk for row in taken]).delete()

    return Contender("bare ORM", {"publish": publish, "deliver + ack": consume}, lambda: None, count)


def together(alias: str, count: int) -> tuple[Contender, Contender]:
    """Work by the ORM in a transaction, with and without a message that belongs to it."""
    from django.db import transaction

    from tests.transports.django.shop.models import Order

    connection = Connection(f"django://{alias}")
    Queue("together")(connection.default_channel).declare()
    producer = connection.Producer(routing_key="together")

    def work(tell: Any, number: int) -> None:
        for _ in range(number):
            with transaction.atomic(using=alias):
                Order.objects.using(alias).create(what=TEXT)
                if tell:
                    producer.publish(BYTES)

    return (
        Contender("with a message", {"transaction": partial(work, True)}, connection.close, count),
        Contender("without", {"transaction": partial(work, False)}, lambda: None, count),
    )


def comparisons(kind: str, alias: str, apart: str) -> Iterable[Comparison]:
    """Give what is compared; `apart` is a database in which SQLite's transactions are not in the way of ours."""
    few = 1_000 if kind == "PostgreSQL" else 300
    url = f"django://{alias}"
    yield Comparison(
        f"{kind}: one commit a publish, takes of one",
        [dulse_blocking.one_by_one(url, BYTES, few, prefetch=1), orm(apart, few, 1)],
    )
    yield Comparison(
        f"{kind}: batches of 100, prefetch 100",
        [dulse_blocking.in_batches(url, BYTES, 5_000), orm(apart, 5_000, BATCH)],
    )
    yield Comparison(f"{kind}: a row and a message by one commit", together(alias, few))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.django")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dulse-bench-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        server = PostgreSQL(folder / "server", Authority(folder / "authority"))
        server.start()
        try:
            server.query("CREATE DATABASE apart")
            databases = {
                "PostgreSQL": [postgresql_config(server.url_of(name)) for name in ("postgres", "apart")],
                "SQLite": [sqlite_config(folder / f"{name}.sqlite") for name in ("project", "apart")],
            }
            for kind, (one, other) in databases.items():
                with added(one) as alias, added(other) as apart:
                    migrate(alias, "dulse")
                    for each in (alias, apart):
                        migrate(each, "shop")
                    for comparison in comparisons(kind, alias, apart):
                        print("\n".join(lines(comparison, compare(comparison, chosen.rounds, 1.0))), flush=True)
        finally:
            server.kill()


if __name__ == "__main__":
    sys.exit(main())

"""`manage.py dulse_clean` puts a broker in order of which nobody takes care, and tells what it did."""

from __future__ import annotations

import time
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from dulse import Connection, Queue
from dulse.model.records import Put, Target
from dulse.transports.django.storage import DjangoStorage

pytestmark = pytest.mark.timeout(240)


def clean(alias: str, **options: Any) -> list[str]:
    """Run the command and give what it prints."""
    printed = StringIO()
    call_command("dulse_clean", database=alias, stdout=printed, **options)
    return printed.getvalue().splitlines()


@pytest.fixture
def storage(alias: str) -> DjangoStorage:
    found = DjangoStorage(alias)
    found.open(30)
    return found


def put(storage: DjangoStorage, queue: str, **about: Any) -> None:
    storage.put([Put(b"not of ours", [Target(queue, **about)], 1)])


def records(alias: str) -> Any:
    from dulse.transports.django.models import Record

    return Record.objects.using(alias)


def test_what_a_dead_process_held_is_given_back(alias: str, storage: DjangoStorage) -> None:
    put(storage, "work")
    storage.reserve([("work", 1)], "the dead", 1)
    while not storage.dead_owners()[0].get("the dead", 0) > 1.1:
        time.sleep(0.05)  # its time passes

    assert clean(alias, dry_run=True)[0] == "1 dead processes to be buried"
    assert storage.depth(["work"])[0].leased == 1
    assert clean(alias)[0] == "1 dead processes buried"
    assert storage.depth(["work"])[0] == (1, 0, 0, 1)
    storage.close(5)


def test_what_has_outlived_its_time_goes(alias: str, storage: DjangoStorage) -> None:
    with Connection(f"django://{alias}") as connection:
        Queue("work")(connection.default_channel).declare()
    for _ in range(230):
        put(storage, "work", ttl_ms=1)
    while not storage.sweep().expired:
        time.sleep(0.01)  # its time passes

    assert clean(alias, dry_run=True)[1] == "230 messages past their time to be removed"
    assert clean(alias)[1] == "230 messages past their time removed"
    assert records(alias).count() == 0
    storage.close(5)


def test_what_was_set_aside_stays_until_it_is_old(alias: str, storage: DjangoStorage) -> None:
    put(storage, "dulse.set-aside")
    put(storage, "dulse.set-aside")
    old = records(alias).first()
    records(alias).filter(pk=old.pk).update(since=old.since - 8 * 86_400_000)

    assert clean(alias)[2] == "2 messages in the queue dulse.set-aside"
    assert clean(alias, set_aside_days=7, dry_run=True)[2].startswith("1 old messages")
    assert records(alias).count() == 2
    assert clean(alias, set_aside_days=7)[2] == "1 old messages in the queue dulse.set-aside deleted"
    assert records(alias).count() == 1
    storage.close(5)


def test_messages_in_queues_that_nobody_declared_go_only_if_asked_for(alias: str, storage: DjangoStorage) -> None:
    with Connection(f"django://{alias}") as connection:
        Queue("work")(connection.default_channel).declare()
    put(storage, "work")
    put(storage, "gone")

    assert clean(alias)[3] == "1 messages in queues not declared"
    assert clean(alias, unclaimed_days=1)[3] == "0 old messages in queues not declared deleted"
    records(alias).update(since=0)
    assert clean(alias, unclaimed_days=1)[3] == "1 old messages in queues not declared deleted"
    assert [record.queue for record in records(alias).all()] == ["work"]
    storage.close(5)


@pytest.mark.parametrize("days", ["-1", "nan", "soon"])
def test_days_that_are_none_are_refused(django_sqlite: str, days: str) -> None:
    with pytest.raises(CommandError, match="set-aside-days"):
        call_command("dulse_clean", f"--set-aside-days={days}", database=django_sqlite)


def test_a_database_that_is_not_there_is_told(django_sqlite: str) -> None:
    with pytest.raises(CommandError, match="names no database of this project"):
        clean("nowhere")

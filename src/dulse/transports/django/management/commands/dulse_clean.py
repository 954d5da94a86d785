"""``manage.py dulse_clean``: puts the broker in order, as connected processes do by themselves, and then some."""

from __future__ import annotations

from argparse import ArgumentParser
from time import time
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Exists, OuterRef, QuerySet, Value
from django.db.models.functions import Concat

from dulse import errors
from dulse.transports.django.models import Group, Record
from dulse.transports.django.storage import DjangoStorage
from dulse.transports.django.visiting import alias_of_project, management_of, visited

__all__ = ["Command"]

SET_ASIDE: Final = "dulse.set-aside"
"""The queue of what can be neither delivered nor sent on."""

SECONDS: Final = 30.0

MS_A_DAY: Final = 86_400_000


class Command(BaseCommand):
    """The command."""

    help = (
        "Give back what dead processes held, and remove what is over: messages that have outlived their time, unused "
        "queues. With --set-aside-days and --unclaimed-days, also old messages that nobody has looked after."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Say what can be chosen."""
        parser.add_argument("--database", help="alias of the database; by default DULSE_DATABASE of the settings")
        parser.add_argument(
            "--set-aside-days",
            type=_days,
            metavar="DAYS",
            help=f"delete what has been in the queue {SET_ASIDE} for longer",
        )
        parser.add_argument(
            "--unclaimed-days",
            type=_days,
            metavar="DAYS",
            help="delete what has been for longer in queues that are not declared (any more)",
        )
        parser.add_argument("--dry-run", action="store_true", help="only tell what would be done")

    def handle(self, *_: Any, **options: Any) -> None:
        """Do it."""
        alias = options["database"] or alias_of_project()
        is_dry = options["dry_run"]
        try:
            self._put_in_order(alias, is_dry=is_dry)
            self._delete(_set_aside(alias), f"in the queue {SET_ASIDE}", options["set_aside_days"], is_dry=is_dry)
            self._delete(_unclaimed(alias), "in queues not declared", options["unclaimed_days"], is_dry=is_dry)
        except errors.DulseError as problem:
            raise CommandError(str(problem)) from problem

    def _put_in_order(self, alias: str, *, is_dry: bool) -> None:
        storage = DjangoStorage(alias)
        storage.open(SECONDS)
        try:
            dead, over = len(storage.dead_owners()[0]), _past(alias).count()
            if not is_dry:
                _remove_past(alias)
                dead, over = dead - len(storage.dead_owners()[0]), over - _past(alias).count()
        finally:
            storage.close(SECONDS)
        self._say(dead, "dead processes", "buried", is_dry=is_dry)
        self._say(max(0, over), "messages past their time", "removed", is_dry=is_dry)

    def _delete(self, found: QuerySet[Record], where: str, days: float | None, *, is_dry: bool) -> None:
        if days is None:
            self.stdout.write(f"{found.count()} messages {where}")
            return
        old = found.filter(since__lt=int(time() * 1000 - days * MS_A_DAY))
        self._say(old.count() if is_dry else old.delete()[0], f"old messages {where}", "deleted", is_dry=is_dry)

    def _say(self, number: int, what: str, done: str, *, is_dry: bool) -> None:
        self.stdout.write(f"{number} {what} {'to be ' if is_dry else ''}{done}")


def _remove_past(alias: str) -> None:
    """Bury the dead, which opening does, and send on what has outlived its time until that is no longer less."""
    with visited(alias) as transport:
        management = management_of(transport)
        left = -1
        while left:
            management.queues()
            before, left = left, _past(alias).count()
            if left == before:
                return


def _ready(alias: str) -> QuerySet[Record]:
    return Record.objects.using(alias).filter(owner=None, due=None)


def _past(alias: str) -> QuerySet[Record]:
    return _ready(alias).filter(dies__lte=int(time() * 1000))


def _set_aside(alias: str) -> QuerySet[Record]:
    return _ready(alias).filter(queue=SET_ASIDE)


def _unclaimed(alias: str) -> QuerySet[Record]:
    declared = Group.objects.using(alias).filter(name=Concat(Value("q/"), OuterRef("queue")))
    return _ready(alias).filter(~Exists(declared))


def _days(text: str) -> float:
    days = float(text)
    if not 0 <= days < float("inf"):
        raise ValueError(text)
    return days

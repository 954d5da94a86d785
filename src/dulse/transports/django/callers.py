"""Puts records by the connection of the calling thread, as a part of the transaction that it is in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

from dulse import errors
from dulse.model.records import Guard, Problem, Put
from dulse.transports.django.database import Database, callers_dialect
from dulse.transports.sql import drivers, putting
from dulse.transports.sql.connections import PROBE_SECONDS, Connections, reaches
from dulse.transports.sql.failures import translate
from dulse.transports.sql.limits import has_limit
from dulse.transports.sql.link import Link
from dulse.transports.sql.watch import Watched
from dulse.virtual.storage import StaleTopology

__all__ = ["Callers"]

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


class Callers:
    """The way into the transactions of the project's threads, for one store."""

    def __init__(self, database: Database, connections: Connections) -> None:
        self._database = database
        self._connections = connections
        self._dialect = callers_dialect(database.kind)

    def put(
        self, wrapper: Any, puts: Sequence[Put], guards: Sequence[Guard], park: str | None, until: float | None
    ) -> Sequence[Problem]:
        """Write puts if every guard holds at this moment; they exist when the transaction is committed.

        Where one fails, what the transaction did before stays, unless the database itself has broken it off.
        """
        from django.db import transaction

        if not puts or (len(puts) == 1 and not puts[0].targets):
            self._on(wrapper, until, putting.check_guards, guards)
            return ()
        if len(puts) == 1 and len(puts[0].targets) == 1 and park is None and not has_limit(puts[0].targets[0]):
            if not self._on(wrapper, until, putting.put_one, puts[0], puts[0].targets[0], guards):
                raise StaleTopology(guards)
            return ()
        with transaction.atomic(using=self._database.alias):
            return self._on(wrapper, until, putting.put_all, puts, guards, None, park, locks=False)

    def _on(
        self,
        wrapper: Any,
        until: float | None,
        work: Callable[Concatenate[Link, Arguments], Result],
        *arguments: Arguments.args,
        **named: Arguments.kwargs,
    ) -> Result:
        """Do work by a thread's own connection, which is asked to give up what takes too long."""
        from django.db import Error
        from django.db.transaction import TransactionManagementError

        watched = self._watched(wrapper.connection)
        watch = self._connections.watch
        watch.enter(watched, self._connections.end_of(until))
        try:
            with wrapper.cursor() as cursor:
                return work(Link(cursor, self._dialect, self._database.place), *arguments, **named)
        except TransactionManagementError as error:
            text = f"{self._database.place}: nothing can be published in a transaction that has failed: {error}"
            raise errors.make(errors.NotSupported, text) from error
        except Error as error:
            raise translate(error.__cause__ or error, self._database.place, silent=watched.is_cut) from error
        except UnicodeEncodeError as error:
            text = f"{self._database.place} cannot hold that name: {error}"
            raise errors.make(errors.InvalidArgument, text) from error
        finally:
            watch.leave(watched)

    def _watched(self, connection: Any) -> Watched:
        another = partial(self._database.connect, PROBE_SECONDS)
        return Watched(
            partial(drivers.cancel, connection, self._database.kind, another),
            partial(drivers.cut, connection),
            partial(reaches, another),
        )

"""The part of a Connection that opens links to a broker, one after the other, and closes them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Self, cast

from dulse import errors
from dulse.aio.address import BrokerAddress
from dulse.aio.channel import Channel
from dulse.aio.consuming import Consumer
from dulse.aio.contracts import Client
from dulse.aio.lifetimes import lifetimes
from dulse.aio.retrying import Retries, Retrying, Stopwatch, make_policy
from dulse.aio.session import CONNECTION_ERRORS, RECOVERABLE_CONNECTION_ERRORS, Session, is_retryable
from dulse.links.waiting.aio import Lock, finished
from dulse.transport import AsyncTransportChannel

CLOSE_TIMEOUT = 5.0
"""Seconds that closing takes at most where the caller names none."""

OPEN_TIMEOUT = 30.0
"""Seconds for opening a link where `connect_timeout` is None."""

COLLECT_TIMEOUT = 1.0
"""Seconds that a link which seems broken is given to be closed in order."""

NOT_OPENED: tuple[type[Exception], ...] = (*RECOVERABLE_CONNECTION_ERRORS, errors.DeadlineExceeded)

_HANDING_OVER = {Channel.__module__, Consumer.__module__}
"""The modules that call a program's callbacks."""

_logger = logging.getLogger(__name__)

Errback = Callable[[Exception, float], Any]


class Connecting(BrokerAddress):
    """A broker's address and the link that is open to it, if any.

    Threads (tasks) may share it: who comes while a link is being opened gets that one, or the same error.
    """

    _session: Session | None = None
    _draft: Session | None = None
    _default_channel: Channel | None = None
    _closed = False
    _was_open = False
    _closings = 0
    _failures = 0
    _failure: Exception | None = None
    _untold: Exception | None = None

    def _begin(self) -> None:
        self._lock = Lock()
        self._channel_lock = Lock()
        lifetimes.forget_after_fork(self)

    # --------------------------------------------------------------------------------------------- open

    async def connect(self) -> Session:
        """Connect now, each alternate being tried once, and give the open link; does nothing if one is open.

        Raises what went wrong with the last alternate. Bounded by `connect_timeout` for each of them.
        """
        return await self._connect_around()

    async def ensure_connection(
        self,
        errback: Errback | None = None,
        max_retries: Retries = ...,
        interval_start: float = 2,
        interval_step: float = 2,
        interval_max: float = 30,
        callback: Callable[[], Any] | None = None,
        reraise_as_library_errors: bool = True,
        timeout: float | None = None,
    ) -> Self:
        """Connect if the broker does not answer on an open link, and go on until it works.

        In a round all alternates are tried; `max_retries` more rounds follow the first one, without end for None; by
        default it goes on until `timeout` seconds are over, or 60 if that is None too. `errback(failure, seconds)` is
        called for each failure, `callback()` every second while waiting; what they raise ends the call.

        Raises the last failure, as OperationalError unless `reraise_as_library_errors` is False.
        """
        policy = make_policy(max_retries, interval_start, interval_step, interval_max, timeout)
        retrying = Retrying(self.clock, policy, errback, callback)
        await self._persist(retrying, convert=reraise_as_library_errors)
        return self

    async def _persist(self, retrying: Retrying, *, convert: bool = True) -> Session:
        session = self._session
        while session is not None:
            try:
                if await session.works(self._seconds_to_open):
                    return session
            except errors.Reconnecting as lost:  # to drop it would lose what it has in flight
                if await retrying.again(lost, at_once=True):
                    continue
                raise retrying.surrender(lost, convert=convert) from None
            await self._drop(session, COLLECT_TIMEOUT)
            break
        while True:
            try:
                return await self._connect_around(retrying.errback)
            except NOT_OPENED as raised:
                if not is_retryable(raised):
                    raise
                failure = raised
            if not await retrying.again(failure):
                raise retrying.surrender(failure, convert=convert)
            await self._next_place()

    async def _connect_around(self, errback: Errback | None = None) -> Session:
        """Try each alternate once."""
        for _ in self.alt[1:]:
            try:
                return await self._open()
            except NOT_OPENED as failure:
                if not is_retryable(failure):
                    raise
                if errback is not None:
                    await finished(errback(failure, 0))
            await self._next_place()
        return await self._open()

    async def _next_place(self) -> None:
        """Lead to the next alternate, unless somebody else has connected meanwhile."""
        async with self._lock:
            if self.cycle is not None and self._session is None:
                self._lead_to(next(self.cycle))

    async def _open(self) -> Session:
        """Open a link, or share what comes of another's attempt to."""
        failures, closings = self._failures, self._closings
        async with self._lock:
            if self._session is not None and self._session.is_open:
                return self._session
            if self._failure is not None and self._failures != failures:
                raise self._failure
            session = self._drafted()
            try:
                await session.open(self._seconds_to_open)
            except Exception as failure:
                self._failures += 1
                self._failure = failure
                raise
            self._install(session)
        if self._closings != closings:
            await self._drop(session, CLOSE_TIMEOUT)
            raise errors.make(errors.ConnectionClosed, f"{self!r} was closed while it was being opened")
        return session

    @property
    def _seconds_to_open(self) -> float:
        return OPEN_TIMEOUT if self.connect_timeout is None else self.connect_timeout

    def _drafted(self) -> Session:
        settings = self.settings()
        draft, self._draft = self._draft, None
        if draft is not None and draft.settings == settings:
            return draft
        return Session(cast("Client", self), self.driver, settings)

    def _install(self, session: Session) -> None:
        self.declared_entities.clear()
        self._default_channel = None
        self._failure = None
        self._session = session
        self._closed = False
        lifetimes.close_at_exit(self)
        if self._was_open and self.observer is not None:
            self.observer.reconnected(self.as_uri())
        self._was_open = True

    async def _live(self) -> Session:
        """Give the open link; one that was closed on purpose is not opened again."""
        session = self._session
        if session is not None and session.is_open:
            return session
        if self._closed:
            raise errors.make(errors.ConnectionClosed, f"{self!r} is closed: call connect() to open it again")
        return await self._connect_around()

    # ---------------------------------------------------------------------------------------------- use

    @property
    def connected(self) -> bool:
        """Whether a link is open; one that broke unnoticed still counts, which `ensure_connection` finds out."""
        return self._session is not None and self._session.is_open

    @property
    def transport(self) -> Session:
        """The open link, or the one that would be opened next."""
        if self._session is not None:
            return self._session
        if self._draft is None:
            self._draft = self._drafted()
        return self._draft

    @property
    async def connection(self) -> Session | None:
        """The open link, opened if needed; None once the connection was closed."""
        return None if self._closed else await self._live()

    @property
    async def default_channel(self) -> Channel:
        """The channel that is used wherever a Connection stands for one.

        Opened where there is none, or where it was closed, and with it the connection; the transport options for
        retries say how long that is tried, `connect_timeout` where they do not.
        """
        channel = self._default_channel
        if channel is not None and channel.is_open:
            return channel
        session = self._session
        if session is None or not session.is_open:
            session = await self._persist(self._patience())
        try:
            return await self._open_default_channel(session)
        except CONNECTION_ERRORS:
            return await self._open_default_channel(await self._persist(self._patience()))

    def _patience(self) -> Retrying:
        given = self.retry_options()
        policy = make_policy(
            given.max_retries,
            2 if given.interval_start is None else given.interval_start,
            2 if given.interval_step is None else given.interval_step,
            30 if given.interval_max is None else given.interval_max,
            self._seconds_to_open if given.connect_retries_timeout is None else given.connect_retries_timeout,
        )
        return Retrying(self.clock, policy, given.errback, given.callback)

    async def _open_default_channel(self, session: Session) -> Channel:
        async with self._channel_lock:
            channel = self._default_channel
            if channel is None or not channel.is_open:
                channel = self._default_channel = await session.channel()
            return channel

    async def channel(self) -> Channel:
        """Open a channel, connecting if that was not done; raises ConnectionClosed after `close`."""
        session = await self._live()
        try:
            return await session.channel()
        except CONNECTION_ERRORS:
            await self._verify()
            raise

    async def drain_events(self, timeout: float | None = None) -> None:
        """Wait for one event of any channel and hand it over, on this thread (task); at most one message.

        `timeout` is the total of seconds, whatever the broker sends meanwhile; 0 looks once. None waits for ever: the
        one wait without an end. Several threads may drain: each event goes to one of them.

        Raises DeadlineExceeded, which is TimeoutError and socket.timeout, when there was nothing, and what a callback
        raises; but a callback's own DeadlineExceeded as the cause of an OperationalError, to be told from the other.
        """
        try:
            refused = timeout is not None and not timeout >= 0
        except TypeError:
            refused = True
        if refused:
            text = f"timeout is {timeout!r}: give 0 to look once, more seconds to wait, or None to wait for ever"
            raise errors.make(errors.InvalidArgument, text)
        session = self._session
        if session is None or not session.is_open:
            watch = Stopwatch(self.clock)
            session = await self._live()
            timeout = None if timeout is None else max(0.0, timeout - watch.elapsed())
        try:
            await session.transport.drain(timeout)
        except CONNECTION_ERRORS:
            await self._verify()
            raise
        except errors.DeadlineExceeded as late:
            if _raised_by_callback(late):
                raise errors.make(errors.OperationalError, f"a callback was not done in time: {late}") from late
            raise

    async def heartbeat_check(self, rate: int = 2) -> None:
        """Find out whether the broker still answers, where its transport has heartbeats; raises if it does not.

        No program has to call it: heartbeats are sent by the library. `rate` is there for Kombu's users.
        """
        if self._session is not None and self.driver.heartbeats:
            await self._session.transport.check()

    async def _verify(self) -> None:
        """After an error that tells of a broken link: let go of the link if that is so."""
        session = self._session
        if session is None:
            return
        try:
            works = await session.works(self._seconds_to_open)
        except errors.Reconnecting:
            return  # by itself
        if not works:
            await self._drop(session, COLLECT_TIMEOUT)

    # -------------------------------------------------------------------------------------------- close

    async def close(self, timeout: float | None = None) -> None:
        """Close the link: channels end, and what was delivered or prefetched and not settled goes back at once.

        Takes at most `timeout` seconds, 5 for None. Closing again does nothing. A message that was published and not
        taken is raised as PublishError; that the broker is out of reach is only logged. It opens again by `connect`,
        `ensure_connection` or `default_channel`.
        """
        self._closed = True
        self._closings += 1
        lifetimes.closed(self)
        session, self._session, self._draft = self._session, None, None
        self._default_channel = None
        self.declared_entities.clear()
        if session is not None:
            await self._end(session, CLOSE_TIMEOUT if timeout is None else timeout, logging.WARNING)
        untold, self._untold = self._untold, None
        if untold is not None:
            raise untold

    async def collect(self, socket_timeout: float | None = None) -> None:
        """Let go of a link that seems broken, spending at most so many seconds on closing it, 1 for None."""
        if self._session is not None:
            await self._drop(self._session, COLLECT_TIMEOUT if socket_timeout is None else socket_timeout)

    async def _drop(self, session: Session, seconds: float) -> None:
        if self._session is session:
            self._session = None
            self._default_channel = None
            self.declared_entities.clear()
        try:
            await self._end(session, seconds, logging.DEBUG)
        except (errors.PublishError, errors.ChannelError) as failure:
            self._untold = self._untold or failure  # raised by `close`: what is going on has an error of its own

    async def _end(self, session: Session, seconds: float, level: int) -> None:
        try:
            await session.close(seconds)
        except errors.OperationalError as failure:
            _logger.log(level, "%r could not be closed in order: %s", session, failure)

    async def switch(self, conn_str: str) -> None:
        """Close, and lead to another URL or host from now on; does not connect."""
        await self.close()
        self._closed = False
        self._lead_to(conn_str)
        self.check()

    async def maybe_switch_next(self) -> None:
        """Close, and lead to the next alternate, if there are any."""
        if self.cycle is not None:
            await self.switch(next(self.cycle))

    def completes_cycle(self, retries: int) -> bool:
        """Tell whether all alternates have been tried after so many retries."""
        return not self.alt or not (retries + 1) % len(self.alt)

    def after_fork(self) -> None:
        """Be without a link, in a forked child; its channels are opened anew when they are used."""
        session, self._session, self._draft = self._session, None, None
        self._lock = Lock()
        self._channel_lock = Lock()
        self._default_channel = None
        self._was_open = False
        self.declared_entities.clear()
        if session is not None:
            session.inherit(self._renew)
            self._draft = session

    async def _renew(self, channel: Channel) -> AsyncTransportChannel:
        return await (await self._live()).renew(channel)


def _raised_by_callback(failure: Exception) -> bool:
    """Tell whether an error came up while a message was handed over."""
    traceback = failure.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_globals.get("__name__") in _HANDING_OVER:
            return True
        traceback = traceback.tb_next
    return False

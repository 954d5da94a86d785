"""How an asyncio link comes back: lost connections are replaced, closed channels opened again, messages sent again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import random
from typing import Any, cast

from dulse import errors
from dulse.amqp.life import LINK, Action, Deed, Happening, Status, Turn, after_round, closing, cutting
from dulse.amqp.method import Method
from dulse.amqp.methods import basic, channel
from dulse.amqp.recheck import Recheck
from dulse.amqp.recovery import NotRestored, Restoration, Step, ask, renew, restoration, starting
from dulse.links.amqp_problems import unconfirmed, verdict
from dulse.links.amqp_setup import Destination, LinkSetup
from dulse.links.asynchronous.core import logger
from dulse.links.asynchronous.delaying import Delaying
from dulse.links.asynchronous.opening import explained, open_wire
from dulse.links.asynchronous.port import Port
from dulse.links.asynchronous.pulse import Pulse
from dulse.links.asynchronous.wire import Owner, Wire


class Recovering(Delaying):
    """The part of a Link that repairs."""

    def __init__(self, setup: LinkSetup) -> None:
        super().__init__(setup)
        self.pulse: Pulse | None = None
        self._turn = 0
        self._recovery: asyncio.Task[None] | None = None
        self._repairs: set[asyncio.Task[None]] = set()

    @property
    def destination(self) -> Destination:
        """Where it is connected, or tries to be."""
        return self.setup.destinations[self._turn % len(self.setup.destinations)]

    # --------------------------------------------------------------------------------------- connections

    def lost(self, wire: Wire, error: Exception) -> None:
        """Learn that a connection has ended; called by it."""
        if wire is not self.wire:
            return
        self.wire = None
        problem = explained(error, self.destination, opening=False)
        wire.engine.lost(problem)
        for expected in self.abandoned:
            self.stray(expected)
        self.abandoned.clear()
        for port in list(self.ports.values()):
            port.bar()
            self.purge(port)
            port.forget_deliveries()
        for expected, future in list(self.calls.items()):
            if not future.done():
                future.set_exception(expected.error or problem)
        self.calls.clear()
        actions = self.turn(Happening.LOST if self.setup.reconnect_timeout != 0 else Happening.ENDED)
        if Action.FORGET in actions:
            self.error = problem
            for port in self.ports.values():
                self._note_loss(port, problem, spoiled=wire.engine.is_spoiled)
        if Action.REPORT in actions:
            self._report(problem)
        if Action.CONNECT in actions:
            logger.warning("%s; connecting again", problem)
            self._recovery = self.loop.create_task(self._recover(), name="dulse: connect again")
        self.notify()

    def _note_loss(self, port: Port, problem: Exception, *, spoiled: bool) -> None:
        deeds = port.turn(cutting(problem, port.unconfirmed, spoiled=spoiled))
        if Deed.RECHECK in deeds:
            self.begin_recheck(port, problem)
        if port.recheck is not None:
            self._count_refused(port, port.recheck)  # the broker's word came just before the end
            if Deed.FAIL_TRIAL in deeds:
                port.recheck.closed(problem)
            if Deed.REPEAT_TRIAL in deeds:
                port.recheck.lost()
            self._report_failed(port.recheck)

    async def _recover(self) -> None:
        try:
            await self._connect_again()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may be left waiting
            if not isinstance(error, errors.DulseError):
                logger.exception("%r could not be replaced", self)
            self.give_up(error)

    async def _connect_again(self) -> None:
        setup = self.setup
        began = self.loop.time()
        delays = setup.retry.delays(random)
        while True:
            failures: list[Exception] = []
            for _ in setup.destinations:
                try:
                    await self._replace()
                except errors.DulseError as failure:
                    failures.append(failure)
                else:
                    return
                self._turn += 1
            if after_round(failures, self.loop.time() - began, setup.reconnect_timeout) is Happening.GAVE_UP:
                raise failures[-1]
            await asyncio.sleep(next(delays, setup.retry.interval_max))

    async def _replace(self) -> None:
        deadline = self.loop.time() + self.setup.connect_timeout
        wire = await open_wire(self.destination, cast("Owner", self), deadline)
        if Action.LEAVE in LINK[Happening.REPLACED, self.status].actions:
            wire.abort()
            return
        before = next((port.frame_max for port in self.ports.values()), wire.engine.frame_max)
        numbers = list(self.remembered.channels)
        self.wire = wire
        try:
            await self._restore(wire)
            self.check_on(wire)
            for number in numbers:
                self.close_stray(number, wire)  # those that the program has closed meanwhile
            for port in list(self.ports.values()):
                port.use(wire.engine.writer(port.number), wire)
                port.is_bare = False
                renew(port.window, port.recheck, port.number, wire.engine.frame_max, before)
        except BaseException:
            self.wire = None
            wire.abort()
            raise
        self.turn(Happening.REPLACED)
        self.error = None
        self.pulse = Pulse(wire)
        for port in list(self.ports.values()):
            if Deed.GO_ON in port.turn(Turn.RESTORED):
                self._spawn(lambda port=port: self._run_recheck(port), port)  # type: ignore[misc]
            else:
                wire.out.extend(port.window.entries)
        wire.send_out()
        self.flow()
        self.notify()
        logger.warning("connected again to %s", self.destination.place)
        if self.setup.on_reconnected is not None:
            try:
                self.setup.on_reconnected()
            except Exception:  # noqa: BLE001 - a hook must not cost the connection
                logger.exception("on_reconnected failed")

    async def _restore(self, wire: Wire) -> None:
        """Make a new connection what the lost one was."""
        await self._go_through(restoration(self.remembered), wire)

    async def _go_through(self, steps: Restoration, wire: Wire) -> None:
        """Take all steps of the way back; what the broker refuses is told of."""
        answer: Exception | None = None
        refused: list[NotRestored] = []
        try:
            while True:
                answer = await self._perform(wire, steps.send(answer))
        except StopIteration as done:
            refused = done.value
        for each in refused:
            logger.error("%s was not restored: %s", each.method.name, each.error)
            port = self.ports.get(each.channel)
            if isinstance(each.method, basic.Consume) and port is not None:
                self.end_consumer(port, each.method.consumer_tag)

    async def _perform(self, wire: Wire, step: Step) -> Exception | None:
        self.check_on(wire)
        try:
            await self.reply_to(ask(wire.engine, step), wire, self.deadline(None))
        except errors.ChannelError as error:
            return error
        return None

    def give_up(self, problem: Exception) -> None:
        """Be lost for good: everything that waits fails, everything unconfirmed is reported."""
        if Action.REPORT in self.turn(Happening.GAVE_UP):
            self.error = problem
            self._report(problem)
            self.notify()

    def _report(self, problem: Exception) -> None:
        logger.error("the connection is lost: %s", problem)
        for port in list(self.ports.values()):
            for message in port.take_unconfirmed():
                self.fail(message, unconfirmed(message.data, problem))
            port.shut(self.why_not())

    # ------------------------------------------------------------------------------------------ channels

    def channel_closed(self, port: Port, error: Exception) -> None:
        """Know that the broker closed a channel."""
        if self.status is not Status.OPEN:
            return  # the restoration has refused steps in hand
        self.purge(port)
        port.forget_deliveries()
        deeds = port.turn(closing(error, len(port.window)))
        if Deed.FAIL_TRIAL in deeds:
            port.reopening = error
        if Deed.RECHECK in deeds:
            self.begin_recheck(port, error)
            self._spawn(lambda: self._reopen_and_recheck(port), port)
        if Deed.SHUT in deeds:
            self.move_from(port, error)
        self.notify()

    def begin_recheck(self, port: Port, error: Exception) -> None:
        """Have a window sent again in trials."""
        port.recheck = Recheck(port.window.unconfirmed(), error)
        port.window.restart([])
        port.bar()

    def _spawn(self, work: Callable[[], Awaitable[None]], port: Port) -> None:
        async def run() -> None:
            try:
                await work()
            except errors.ConnectionError as lost:
                logger.debug("%r is gone on with when there is a connection again: %s", port, lost)
            except Exception as error:  # noqa: BLE001 - likewise
                if self.ports.get(port.number) is not port:
                    return  # it was closed meanwhile, and what was on it is told of
                logger.exception("%r could not be repaired", port)
                for message in port.take_unconfirmed():
                    self.fail(message, error)
                self.forget_port(port, error)
                self.notify()

        task = self.loop.create_task(run(), name=f"dulse: repair channel {port.number}")
        self._repairs.add(task)
        task.add_done_callback(self._repairs.discard)

    async def _reopen_and_recheck(self, port: Port) -> None:
        await self._reopen(port)
        await self._run_recheck(port)

    async def _reopen(self, port: Port) -> None:
        """Open a channel again under its number, for now without its consumers."""
        wire = self.need_wire()
        known = self.remembered.channels[port.number]
        methods: list[Method] = [channel.Open(), *known.methods()]
        for method in methods:
            error = await self._perform(wire, Step(port.number, method))
            if error is not None:
                raise error
        port.is_bare = True
        port.use(wire.engine.writer(port.number), wire)

    async def _run_recheck(self, port: Port) -> None:
        """Send trial after trial, until every message is confirmed or has failed."""
        recheck, wire = port.recheck, self.wire
        if recheck is None or wire is None:
            return
        while port.recheck is recheck and (trial := recheck.trial()):
            wire.out.extend(each.data for each in trial)
            wire.send_soon()
            await self._trial_settled(port, recheck, wire)
            self.check_on(wire)  # else what took its place has gone on with this already
            if port.recheck is not recheck:
                return  # the program has closed the channel
            reason = self._count_refused(port, recheck)
            self._report_failed(recheck)
            if reason is not None:
                await self._reopen(port)
                self.check_on(wire)
        if port.is_bare:
            await self._go_through(starting(port.number, self.remembered.channels[port.number]), wire)
            self.check_on(wire)
            if port.recheck is not recheck:
                return
            self._count_refused(port, recheck)  # a consumer has closed the channel, and it was opened again
            port.use(wire.engine.writer(port.number), wire)
        port.recheck = None
        port.window.restart([], base=recheck.next_tag)
        port.grant()
        self.notify()
        if port.refuge_of is not None:
            await self.close_port(port)

    async def _trial_settled(self, port: Port, recheck: Recheck, wire: Wire) -> None:
        def settled() -> bool:
            is_over = port.reopening is not None or port.recheck is not recheck
            return recheck.is_settled or is_over or not self.is_on(wire)

        while not await self.until(settled, self.deadline(None)):
            logger.warning("%r waits for the broker to confirm a trial", port)

    def _count_refused(self, port: Port, recheck: Recheck) -> Exception | None:
        """Have a trial refused for which the broker has closed the channel; gives why it did."""
        reason, port.reopening = port.reopening, None
        if reason is not None:
            recheck.closed(reason)
        return reason

    def _report_failed(self, recheck: Recheck) -> None:
        failed, recheck.failed = recheck.failed, []
        for message, error in failed:
            self.fail(message, verdict(message.data, error))

    def move_from(self, port: Port, error: Exception) -> None:
        """Be without a channel that was closed for the program by a mistake; what is unconfirmed is sent elsewhere."""
        waiting = port.take_unconfirmed()
        self.forget_port(port, error)
        if not waiting:
            return
        refuge = Port(cast("Any", self), port.number)
        refuge.refuge_of, refuge.frame_max = port, port.frame_max
        refuge.recheck = Recheck(waiting, error)
        self.ports[refuge.number] = refuge
        self.remembered.open_channel(refuge.number, confirms=refuge.confirms)
        self._spawn(lambda: self._reopen_and_recheck(refuge), refuge)

"""What brings a blocking link back: a new connection for a lost one, a new channel for one that a message closed.

It runs on a thread of its own while there is something to mend, so that every caller keeps his deadline.
"""

from __future__ import annotations

import logging
import socket
from collections import deque
from collections.abc import Callable
from itertools import cycle
from random import random
from time import monotonic

from dulse import errors
from dulse.amqp.engine import Engine
from dulse.amqp.expected import Expected
from dulse.amqp.life import Action, Deed, Happening, Turn, after_round, cutting
from dulse.amqp.method import Method
from dulse.amqp.methods import basic, channel
from dulse.amqp.recheck import Recheck
from dulse.amqp.recovery import NotRestored, Step, ask, renew
from dulse.links.amqp_problems import no_channel, unconfirmed, verdict
from dulse.links.amqp_setup import Destination
from dulse.links.blocking import turns
from dulse.links.blocking.handshake import shake_hands
from dulse.links.blocking.line import Call, Line
from dulse.links.blocking.port import Port
from dulse.links.blocking.receiving import hand_out
from dulse.links.blocking.restoring import Restoring
from dulse.links.blocking.sending import adopt_late, finish_begun, push
from dulse.links.blocking.stream import Stream
from dulse.links.waiting.sync import sleep

_logger = logging.getLogger(__name__)

_NAP = 0.1
"""Seconds after which a pause between two attempts looks whether the link was closed meanwhile."""


class Mender:
    """Mends one link; `run` goes on until there is nothing more to mend."""

    def __init__(self, line: Line, broke: Callable[[Exception], None], told: Callable[[], None]) -> None:
        self._line = line
        self._broke = broke
        self._told = told
        self._destinations = cycle(line.setup.destinations)

    def run(self) -> None:
        """Mend what there is."""
        try:
            self._run()
        except BaseException as problem:
            self._line.is_mending = False
            self.give_up(problem if isinstance(problem, Exception) else self._line.why_not())
            raise

    def _run(self) -> None:
        line = self._line
        while True:
            if line.is_broken:
                self._reconnect()
            elif line.is_open and line.broken_ports:
                self._recheck(*line.broken_ports.popleft())
            else:
                with line.lock:
                    if not line.is_broken and not (line.broken_ports and line.is_open):
                        line.is_mending = False
                        break
        line.tell()

    # --------------------------------------------------------------------------------------- connections

    def _reconnect(self) -> None:
        line = self._line
        setup = line.setup
        began = monotonic()
        delays = setup.retry.delays(random)
        failures: list[Exception] = []
        while line.is_broken:
            for _ in setup.destinations:
                destination = next(self._destinations)
                try:
                    self._replace(destination)
                except (errors.DulseError, OSError) as failure:
                    failures.append(failure)
                else:
                    return
            _logger.info("the connection is lost and could not be replaced yet: %s", failures[-1])
            if after_round(failures, monotonic() - began, setup.reconnect_timeout) is Happening.GAVE_UP:
                self.give_up(failures[-1])
                return
            failures.clear()
            self._pause(next(delays, setup.retry.interval_max))

    def _pause(self, seconds: float) -> None:
        until = monotonic() + seconds
        while self._line.is_broken and monotonic() < until:
            sleep(min(_NAP, until - monotonic()))

    def _replace(self, destination: Destination) -> None:
        setup = self._line.setup
        connected, engine = shake_hands(destination, monotonic() + setup.connect_timeout)
        try:
            # A broker that has just been started may take its time until it knows its queues.
            restoring = Restoring(connected, engine, monotonic() + setup.timeout)
            refused = restoring.restore(self._line)
        except BaseException:
            connected.close()
            raise
        self._install(connected, engine, restoring, refused)

    def _install(
        self, connected: socket.socket, engine: Engine, restored: Restoring, refused: list[NotRestored]
    ) -> None:
        line = self._line
        with line.lock:
            if Action.LEAVE in line.turn(Happening.REPLACED):
                connected.close()
                return
            reason = line.error or errors.make(errors.ConnectionLost, "the connection was lost")
            spoiled = line.engine is not None and line.engine.is_spoiled
            line.broken_ports.clear()
            line.stream = Stream(connected)
            line.send = line.stream.send
            if line.beacon is not None:
                line.beacon.watch(line.stream.fileno())
            before, line.engine = line.frame_max, engine
            line.frame_max = engine.frame_max
            for port in line.ports.values():
                deeds = port.turn(cutting(reason, len(port.window), spoiled=spoiled)) + port.turn(Turn.RESTORED)
                renew(port.window, port.recheck, port.number, engine.frame_max, before)
                port.resume(engine.writer(port.number))
                if {Deed.RECHECK, Deed.GO_ON} & set(deeds):
                    port.hold()
                    line.broken_ports.append((port, reason))
            for number in restored.numbers:
                if number not in line.ports and engine.is_channel_open(number):
                    engine.close_channel(number)  # the program has closed it meanwhile
            engine.events = [*restored.kept, *engine.events]
            self._tell_refused(refused)
        self._settle_in(engine)
        line.reconnects += 1
        if line.setup.on_reconnected is not None:
            try:
                line.setup.on_reconnected()
            except Exception:
                _logger.exception("on_reconnected failed")

    def _settle_in(self, engine: Engine) -> None:
        line = self._line
        turns.push_now(line, self._broke)
        with line.lock:
            line.inside = True
            try:
                if line.engine is engine and line.is_open:
                    hand_out(line, engine)
            finally:
                line.inside = False
        line.tell()

    def _tell_refused(self, refused: list[NotRestored]) -> None:
        line = self._line
        for each in refused:
            _logger.warning("after a lost connection %s was refused: %s", each.method.name, each.error)
            port = line.ports.get(each.channel)
            if port is not None and isinstance(each.method, basic.Consume):
                line.remembered.cancel(port.number, each.method.consumer_tag)
                line.ready.append(Call(port.end_consumer, each.method.consumer_tag))

    def give_up(self, problem: Exception) -> None:
        """Let the link be lost for good, and report what is unconfirmed."""
        line = self._line
        with line.lock:
            actions = line.turn(Happening.GAVE_UP)
            if Action.REPORT not in actions:
                return
            line.error = problem
            self.report(problem)
        line.tell()
        self._told()

    def report(self, problem: Exception) -> None:
        """Let go of what is unconfirmed, and keep it for who is told of it; under the lock."""
        for port in self._line.ports.values():
            adopt_late(port)
            waiting = port.unconfirmed()
            port.window.restart([])
            port.recheck = None
            for each in waiting:
                port.fail(each, unconfirmed(each.data, f"the connection is lost for good: {problem}"))

    # ------------------------------------------------------------------------------------------ channels

    def _recheck(self, port: Port, problem: Exception) -> None:
        """Find the message that made the broker close a channel: send the unconfirmed ones in trials."""
        line = self._line
        with line.lock:
            if self._is_gone(port):
                return
            recheck = port.recheck = port.recheck or Recheck(port.window.unconfirmed(), problem)
            finish_begun(line, port)
            port.window.restart([])
            port.is_held = False
        while self._try(port, recheck):
            self._tell_failed(port, recheck)
        self._tell_failed(port, recheck)
        holds = self._holds()
        with line.lock:
            if self._is_gone(port):
                self._close_stray(port)
                return
            if holds and line.is_open:
                for each in recheck.remaining():  # not even an empty channel could be opened
                    port.fail(each, verdict(each.data, problem))
                port.recheck = None
        if port.recheck is None and line.is_open:
            self._finish(port)

    def _is_gone(self, port: Port) -> bool:
        """Tell whether the program has closed the channel meanwhile; called under the lock."""
        return self._line.ports.get(port.number) is not port

    def _close_stray(self, port: Port) -> None:
        """Close what was opened for a channel that the program has closed meanwhile; under the lock."""
        line = self._line
        engine = line.engine
        if port.number not in line.ports and line.is_open and engine and engine.is_channel_open(port.number):
            engine.close_channel(port.number)
            push(line)

    def _tell_failed(self, port: Port, recheck: Recheck) -> None:
        with self._line.lock:
            found, recheck.failed = recheck.failed, []
            for failed in found:
                port.fail(failed.message, verdict(failed.message.data, failed.error))
        if found:
            self._told()
            self._line.tell()

    def _holds(self) -> bool:
        """Tell whether there is a connection still, after attending to what may have ended it meanwhile."""
        failure = self._line.failure
        if failure is not None:
            self._broke(failure)
        return self._line.is_open

    def _try(self, port: Port, recheck: Recheck) -> bool:
        """Send one trial; False: all is done, or the connection is lost."""
        line = self._line
        trial = recheck.trial()
        if not trial:
            return False
        if not self._open_again(port):
            recheck.lost()
            return False
        with line.lock:
            if self._is_gone(port):
                return False
            port.window.restart(trial, recheck.next_tag - len(trial))
            first = port.window.base
            push(line)
        turns.wait(line, lambda: self._is_over(port), None, self._broke)
        self._holds()
        with line.lock:
            if self._is_gone(port):
                return False
            self._count_confirmed(port, recheck, range(first, recheck.next_tag))
            endings = [each for each in line.endings if each[0] is port]
            for each in endings:
                line.endings.remove(each)
        if not line.is_open:
            error = line.error or line.why_not()
            spoiled = line.engine is not None and line.engine.is_spoiled
            if Deed.FAIL_TRIAL in port.turn(cutting(error, len(recheck.remaining()), spoiled=spoiled)):
                recheck.closed(error)
            else:
                recheck.lost()
            return False
        if endings:
            recheck.closed(endings[0][1])
            with line.lock:
                port.window.restart([])
        return True

    def _count_confirmed(self, port: Port, recheck: Recheck, tags: range) -> None:
        """Tell which of these messages the broker has answered for, and empty the window; under the lock."""
        left = {each.tag for each in port.window.unconfirmed()}
        for tag in tags:
            if tag not in left:
                recheck.confirm(tag, multiple=False)
        finish_begun(self._line, port)
        port.window.restart([], recheck.next_tag)

    def _is_over(self, port: Port) -> bool:
        line = self._line
        if not line.is_open:
            return True
        push(line)
        return not port.window.entries or self._is_gone(port) or any(each[0] is port for each in line.endings)

    def _open_again(self, port: Port) -> bool:
        """Open the channel of a port again unless it is open; False: it could not be."""
        line = self._line
        if line.engine is not None and line.engine.is_channel_open(port.number):
            return True
        if self._ask(port, channel.Open()) is not None:
            return False
        found = line.remembered.channels.get(port.number)
        return all(self._ask(port, each) is None for each in (found.methods() if found is not None else ()))

    def _ask(self, port: Port, method: Method) -> Exception | None:
        """Call a method on the channel of a port; gives why it was not carried out."""
        line = self._line
        asked: list[Expected] = []

        def look() -> bool:
            if asked:
                return asked[0].done
            engine = line.need_engine()
            if self._is_gone(port):
                raise no_channel(port.number, port.closed_by)
            asked.append(ask(engine, Step(port.number, method)))
            push(line)
            return asked[0].done

        try:
            turns.wait(line, look, None, self._broke)
        except errors.DulseError as problem:
            return problem
        return asked[0].error

    def _finish(self, port: Port) -> None:
        """Let a port go on, with its consumers but for those that the broker refuses."""
        line = self._line
        opened = self._open_again(port)
        while opened:
            refused = self._start_consumers(port)
            if refused is None or not self._holds():
                break
            with line.lock:
                line.endings = deque(each for each in line.endings if each[0] is not port)
                port.window.restart([])
                self._tell_refused([refused])
            opened = self._open_again(port)
        self._holds()
        with line.lock:
            if self._is_gone(port):
                self._close_stray(port)
            elif port.refuge_of is not None:
                self._close_refuge(port)
            elif opened and line.is_open and line.engine is not None:
                port.resume(line.engine.writer(port.number))
            elif line.is_open:
                port.is_mending = False
                port.shut(
                    errors.make(errors.ChannelError, "it could not be opened again after a message had closed it")
                )
        line.tell()

    def _start_consumers(self, port: Port) -> NotRestored | None:
        """Start the consumers of a port again; gives the first that is refused, which closes the channel."""
        found = self._line.remembered.channels.get(port.number)
        for tag in list(found.consumers) if found is not None else []:
            for method in found.starts(tag) if found is not None else []:
                problem = self._ask(port, method)
                if problem is not None:
                    return NotRestored(port.number, method, problem) if self._line.is_open else None
        return None

    def _close_refuge(self, port: Port) -> None:
        line = self._line
        with line.lock:
            if self._is_gone(port) or not line.is_open:
                return
            port.is_mending = False
            port.generation += 1
            del line.ports[port.number]
            line.remembered.close_channel(port.number)
            if line.engine is not None and line.engine.is_channel_open(port.number):
                line.engine.close_channel(port.number)
                push(line)

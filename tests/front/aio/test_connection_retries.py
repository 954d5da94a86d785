"""Trying again: connecting, and operations on a connection that breaks."""

from __future__ import annotations

from typing import Any

import pytest

from dulse import errors
from dulse.aio.channel import Channel
from dulse.aio.connection import Connection
from dulse.aio.entity import Queue
from dulse.policy.clocks import VirtualClock
from tests.front.aio.faulty import FaultyBroker


def refusal(text: str = "nobody listens") -> Exception:
    return errors.make(errors.ConnectionRefused, text)


class Impatient(VirtualClock):
    """A virtual clock on which every wait is over at once: whoever begins to wait moves it on."""

    def on_advance(self, callback: Any) -> Any:
        self.waits = getattr(self, "waits", 0) + 1
        unsubscribe = super().on_advance(callback)
        self.advance(1)
        return unsubscribe


class Revivable:
    """Writes down the channels it was given."""

    def __init__(self) -> None:
        self.channels: list[Channel] = []

    def revive(self, channel: Channel) -> None:
        self.channels.append(channel)


class Failing:
    """Raises what it was given, one call after the other, and then works."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.calls = 0

    def __call__(self, *args: Any, **kwargs: Any) -> str:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return f"done {args} {kwargs}"


async def test_connecting_is_tried_again_until_it_works(url: str) -> None:
    broker = FaultyBroker(url)
    broker.refusals = [refusal("1"), refusal("2")]
    told: list[tuple[str, float]] = []
    async with Connection("a.example", transport=broker.driver) as connection:
        given = await connection.ensure_connection(
            lambda failure, seconds: told.append((str(failure), seconds)), interval_start=0, interval_step=0.01
        )
        assert given is connection
        assert connection.connected
    assert told == [("1", 0), ("2", 0.01)]


async def test_connecting_gives_up_after_so_many_retries(url: str) -> None:
    broker = FaultyBroker(url)
    broker.refusals = [refusal() for _ in range(10)]
    connection = Connection("a.example", transport=broker.driver)
    with pytest.raises(errors.OperationalError, match="nobody listens") as raised:
        await connection.ensure_connection(max_retries=2, interval_start=0, interval_step=0)
    assert len(broker.tried) == 3
    assert "3 tries" in raised.value.__notes__[0]


async def test_no_retry_means_one_try(url: str) -> None:
    broker = FaultyBroker(url)
    broker.refusals = [refusal() for _ in range(10)]
    connection = Connection("a.example", transport=broker.driver)
    with pytest.raises(errors.ConnectionRefused):
        await connection.ensure_connection(max_retries=0)
    assert len(broker.tried) == 1


async def test_connecting_gives_up_when_the_time_is_over(url: str) -> None:
    broker = FaultyBroker(url)
    broker.refusals = [refusal() for _ in range(100)]
    clock = Impatient()
    connection = Connection("a.example", transport=broker.driver, clock=clock)
    with pytest.raises(errors.ConnectionRefused):
        await connection.ensure_connection(interval_start=1, interval_step=0, timeout=5)
    assert len(broker.tried) == 6


async def test_connecting_gives_up_after_a_minute_where_nothing_is_said(url: str) -> None:
    broker = FaultyBroker(url)
    broker.refusals = [refusal() for _ in range(1000)]
    clock = Impatient()
    connection = Connection("a.example", transport=broker.driver, clock=clock)
    with pytest.raises(errors.ConnectionRefused):
        await connection.ensure_connection(interval_start=1, interval_step=0)
    assert clock.monotonic() == 60


async def test_connecting_goes_on_without_end_where_that_is_asked_for(url: str) -> None:
    broker = FaultyBroker(url)
    broker.refusals = [refusal() for _ in range(200)]
    clock = Impatient()
    async with Connection("a.example", transport=broker.driver, clock=clock) as connection:
        await connection.ensure_connection(max_retries=None, interval_start=1, interval_step=0)
        assert clock.monotonic() == 200


async def test_an_error_that_will_not_go_away_is_raised_at_once(url: str) -> None:
    broker = FaultyBroker(url)
    broker.refusals = [errors.make(errors.AuthenticationFailed, "wrong password")]
    connection = Connection("a.example", transport=broker.driver)
    with pytest.raises(errors.AuthenticationFailed):
        await connection.ensure_connection()
    assert len(broker.tried) == 1


async def test_an_open_link_that_works_is_kept(url: str) -> None:
    async with Connection(url) as connection:
        session = await connection.connect()
        await connection.ensure_connection()
        assert connection.transport is session


async def test_an_open_link_that_broke_is_opened_again(url: str) -> None:
    broker = FaultyBroker(url)
    async with Connection("a.example", transport=broker.driver) as connection:
        session = await connection.connect()
        broker.cut()
        await connection.ensure_connection()
        assert connection.transport is not session
        assert connection.connected


async def test_the_callback_may_end_a_wait(url: str) -> None:
    broker = FaultyBroker(url)
    broker.refusals = [refusal() for _ in range(10)]
    calls: list[str] = []

    async def stop() -> None:
        calls.append("looked")
        raise KeyboardInterrupt

    connection = Connection("a.example", transport=broker.driver)
    with pytest.raises(KeyboardInterrupt):
        await connection.ensure_connection(callback=stop, interval_start=30)
    assert calls == ["looked"]


async def test_alternates_take_turns(url: str) -> None:
    broker = FaultyBroker(url)
    broker.refusals = [refusal(), refusal(), refusal()]
    told: list[float] = []
    places = "faulty://a.example;faulty://b.example"
    async with Connection(places, transport=broker.driver) as connection:
        await connection.ensure_connection(lambda _, seconds: told.append(seconds), interval_start=0.01)
        assert connection.hostname == "b.example"
    assert broker.tried == ["a.example", "b.example", "a.example", "b.example"]
    assert told == [0, 0.01, 0]


async def test_connect_tries_each_alternate_once(url: str) -> None:
    broker = FaultyBroker(url)
    broker.refusals = [refusal("a"), refusal("b"), refusal("c")]
    connection = Connection("faulty://a.example;faulty://b.example;faulty://c.example", transport=broker.driver)
    with pytest.raises(errors.ConnectionRefused, match="c"):
        await connection.connect()
    assert broker.tried == ["a.example", "b.example", "c.example"]


async def test_the_default_channel_tries_as_the_transport_options_say(url: str) -> None:
    broker = FaultyBroker(url)
    broker.refusals = [refusal() for _ in range(10)]
    told: list[float] = []
    connection = Connection(
        "a.example",
        transport=broker.driver,
        transport_options={
            "max_retries": 3,
            "interval_start": 0,
            "interval_step": 0.01,
            "errback": lambda _failure, seconds: told.append(seconds),
        },
    )
    with pytest.raises(errors.OperationalError):
        await connection.default_channel
    assert told == [0, 0.01, 0.02]


async def test_the_default_channel_gives_up_after_the_connect_timeout(url: str) -> None:
    broker = FaultyBroker(url)
    broker.refusals = [refusal() for _ in range(100)]
    clock = Impatient()
    options = {"interval_start": 1, "interval_step": 0}
    connection = Connection(
        "a.example", transport=broker.driver, transport_options=options, clock=clock, connect_timeout=4
    )
    with pytest.raises(errors.OperationalError):
        await connection.default_channel
    assert clock.monotonic() == 4


# --------------------------------------------------------------------------------------------------- ensure


async def test_an_ensured_call_gives_its_result(url: str) -> None:
    call = Failing()
    async with Connection(url) as connection:
        assert await connection.ensure(Revivable(), call)(1, a=2) == "done (1,) {'a': 2}"


async def test_an_ensured_call_is_made_again_on_a_new_link(url: str) -> None:
    broker = FaultyBroker(url)
    revivable, revived, told = Revivable(), Revivable(), []
    call = Failing(errors.make(errors.ConnectionLost, "gone"))
    async with Connection("a.example", transport=broker.driver) as connection:
        await connection.connect()
        broker.cut()
        ensured = connection.ensure(
            revivable, call, lambda failure, _: told.append(str(failure)), on_revive=revived.revive
        )
        await ensured()
        assert revivable.channels == revived.channels == [await connection.default_channel]
    assert call.calls == 2
    assert told == ["gone"]
    assert len(broker.links) == 2


async def test_a_link_that_works_is_not_opened_again_for_an_error_from_elsewhere(url: str) -> None:
    broker = FaultyBroker(url)
    call = Failing(errors.make(errors.ConnectionLost, "another connection"))
    async with Connection("a.example", transport=broker.driver) as connection:
        await connection.connect()
        await connection.ensure(Revivable(), call)()
    assert len(broker.links) == 1


async def test_a_broken_link_that_cannot_be_opened_again_is_tried_as_often_as_the_call(url: str) -> None:
    broker = FaultyBroker(url)
    call = Failing(errors.make(errors.ConnectionLost, "gone"))
    async with Connection("a.example", transport=broker.driver) as connection:
        await connection.connect()
        broker.cut()
        broker.refusals = [refusal("1"), refusal("2")]
        await connection.ensure(Revivable(), call, max_retries=3, interval_start=0, interval_max=0)()
    assert call.calls == 2
    assert len(broker.tried) == 4


async def test_an_ensured_call_gives_up_with_an_operational_error(url: str) -> None:
    call = Failing(*(errors.make(errors.ConnectionLost, f"gone {number}") for number in range(5)))
    async with Connection(url) as connection:
        ensured = connection.ensure(Revivable(), call, max_retries=2, interval_start=0, interval_max=0)
        with pytest.raises(errors.OperationalError, match="gone 2"):
            await ensured()
    assert call.calls == 3


async def test_a_channel_error_that_may_pass_is_answered_by_a_new_channel(url: str) -> None:
    async with Connection(url) as owner, Connection(url) as connection:
        queue = Queue("mine", exclusive=True)
        await queue(owner).declare()
        places = Revivable()
        places.channels.append(await connection.default_channel)

        async def declare() -> None:
            if len(places.channels) > 1:
                await queue(owner).delete()
            await queue(places.channels[-1]).declare()

        await connection.ensure(places, declare, interval_start=0, interval_max=0)()
        assert len(places.channels) == 2
        assert connection.connected


async def test_a_channel_error_becomes_an_operational_error_in_the_end(url: str) -> None:
    call = Failing(*(errors.make(errors.ResourceLocked, "taken") for _ in range(5)))
    async with Connection(url) as connection:
        ensured = connection.ensure(Revivable(), call, max_retries=1, interval_start=0, interval_max=0)
        with pytest.raises(errors.OperationalError, match=r"taken.*2 tries") as raised:
            await ensured()
        assert isinstance(raised.value.__cause__, errors.ResourceLocked)


async def test_an_error_of_the_callers_choice_is_answered_by_another_call_alone(url: str) -> None:
    revivable = Revivable()
    call = Failing(ValueError("odd"), ValueError("odd"))
    async with Connection(url) as connection:
        await connection.ensure(revivable, call, retry_errors=(ValueError,), interval_start=0, interval_max=0)()
    assert call.calls == 3
    assert revivable.channels == []


async def test_a_broker_that_takes_no_messages_for_now_is_waited_for(url: str) -> None:
    revivable = Revivable()
    call = Failing(errors.make(errors.Blocked, "alarm"))
    async with Connection(url) as connection:
        await connection.ensure(revivable, call, interval_start=0)()
    assert call.calls == 2
    assert revivable.channels == []


@pytest.mark.parametrize("kind", [errors.NotFound, errors.EncodeError, errors.DeadlineExceeded, ValueError])
async def test_an_error_that_will_stay_ends_an_ensured_call(url: str, kind: type[Exception]) -> None:
    call = Failing(kind("no"))
    async with Connection(url) as connection:
        with pytest.raises(kind):
            await connection.ensure(Revivable(), call)()
    assert call.calls == 1


async def test_a_wrong_policy_is_refused_before_anything_is_tried(url: str) -> None:
    connection = Connection(url)
    with pytest.raises(errors.InvalidArgument, match="interval_start"):
        connection.ensure(Revivable(), Failing(), interval_start=-1)


async def test_an_ensured_call_shows_what_it_wraps(url: str) -> None:
    def publish() -> None:
        """Publish something."""

    ensured = Connection(url).ensure(Revivable(), publish)
    assert ensured.__name__ == "publish(ensured)"
    assert ensured.__doc__ == "Publish something."


async def test_autoretry_gives_the_result_and_the_channel_used(url: str) -> None:
    async with Connection(url) as connection:
        channel = await connection.channel()
        result, used = await connection.autoretry(Failing(), channel)(1)
        assert result == f"done (1,) {{'channel': {channel!r}}}"
        assert used is channel


async def test_autoretry_goes_on_with_the_channel_that_came_after(url: str) -> None:
    broker = FaultyBroker(url)
    call = Failing(errors.make(errors.ConnectionLost, "gone"))
    async with Connection("a.example", transport=broker.driver) as connection:
        first = await connection.default_channel
        broker.cut()
        _, used = await connection.autoretry(call)()
        assert used is not first
        assert used is await connection.default_channel


async def test_a_producer_publishes_again_after_its_link_broke(url: str) -> None:
    broker = FaultyBroker(url)
    queue: Queue = Queue("tasks")
    async with Connection("a.example", transport=broker.driver) as connection:
        producer = connection.Producer()
        await producer.publish(b"1", routing_key="tasks", declare=[queue])
        broker.cut()
        await producer.publish(b"2", routing_key="tasks", retry=True)
        bodies = [(await queue(connection).get()), (await queue(connection).get())]
        assert [message.body for message in bodies if message] == [b"1", b"2"]

"""Mailboxes: commands to processes, and their replies."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import pytest

from dulse import errors
from dulse.aio.connection import Connection
from dulse.aio.entity import Queue
from dulse.aio.message import Message
from dulse.aio.pidbox import Mailbox, Node
from dulse.aio.pools import ProducerPool
from dulse.links.waiting.aio import Spawned, sleep, spawn
from dulse.policy.lamport import LamportClock


class Process:
    """A process with a node, which carries out commands until it is stopped."""

    def __init__(self, url: str, hostname: str, type: str = "direct", **options: Any) -> None:
        self.connection = Connection(url)
        self.node = Mailbox("app", type, self.connection, **options).Node(hostname, state={"name": hostname})
        self.node.handler(ping)
        self.node.handler(add)
        self.node.handler(fail)
        self.should_stop = False
        self.serving: Spawned | None = None

    async def start(self) -> None:
        await self.node.listen()
        self.serving = spawn(self.serve, self.node.hostname)

    async def serve(self) -> None:
        while not self.should_stop:
            try:
                await self.connection.drain_events(timeout=0.05)
            except errors.DeadlineExceeded:
                continue

    async def stop(self) -> None:
        self.should_stop = True
        if self.serving is not None:
            assert await self.serving.join(10)
        await self.connection.close()


async def ping(state: Any) -> str:
    return f"pong of {state['name']}"


def add(state: Any, a: int, b: int = 1) -> int:
    return a + b


def fail(state: Any) -> None:
    raise ValueError("a mistake")


async def start(url: str, *hostnames: str, **options: Any) -> list[Process]:
    processes = [Process(url, hostname, **options) for hostname in hostnames]
    for process in processes:
        await process.start()
    return processes


async def stop(processes: list[Process]) -> None:
    for process in processes:
        await process.stop()


@pytest.mark.parametrize("type", ["direct", "fanout"])
async def test_a_command_to_all_is_answered_by_all(url: str, type: str) -> None:
    processes = await start(url, "one", "two", type=type)
    async with Connection(url) as connection:
        replies = await Mailbox("app", type, connection).multi_call("ping", timeout=10, limit=2)
        assert sorted(replies or [], key=str) == [{"one": "pong of one"}, {"two": "pong of two"}]
    await stop(processes)


async def test_a_command_to_one_is_answered_by_that_one(url: str) -> None:
    processes = await start(url, "one", "two")
    async with Connection(url) as connection:
        told: list[Any] = []
        mailbox = Mailbox("app", connection=connection)
        replies = await mailbox.call(["two"], "add", {"a": 2, "b": 3}, timeout=10, callback=told.append)
        assert replies == told == [{"two": 5}]
    await stop(processes)


async def test_a_mailbox_is_bound_to_a_connection_by_calling_it(url: str) -> None:
    processes = await start(url, "one")
    mailbox = Mailbox("app")
    with pytest.raises(errors.NotBoundError):
        await mailbox.abcast("ping")
    async with Connection(url) as connection:
        bound = mailbox(connection)
        assert mailbox.connection is None
        assert await bound.call(["one"], "ping", timeout=10) == [{"one": "pong of one"}]
    await stop(processes)


async def test_collecting_ends_when_the_time_is_over(url: str) -> None:
    async with Connection(url) as connection:
        assert await Mailbox("app", connection=connection).multi_call("ping", timeout=0.05) == []


async def test_a_failing_command_answers_with_its_error(url: str, caplog: pytest.LogCaptureFixture) -> None:
    processes = await start(url, "one")
    async with Connection(url) as connection:
        mailbox = Mailbox("app", connection=connection)
        assert await mailbox.call(["one"], "fail", timeout=10) == [{"one": {"error": "ValueError('a mistake')"}}]
        assert await mailbox.call(["one"], "unknown", timeout=10) == [{"one": {"error": "KeyError('unknown')"}}]
    assert "'fail' failed" in caplog.text
    await stop(processes)


@pytest.mark.parametrize(
    ("pattern", "matcher", "meant"),
    [("w*", "glob", True), ("x*", "glob", False), ("w.rker", "pcre", True), (None, None, True)],
)
async def test_a_command_may_be_meant_for_those_whose_name_matches(
    pattern: str | None, matcher: str | None, meant: bool
) -> None:
    calls: list[str] = []
    node = Mailbox("app").Node("worker", handlers={"note": lambda _state: calls.append("called")})
    await node.handle_message({"method": "note", "pattern": pattern, "matcher": matcher})
    assert calls == ["called"] * meant


async def test_a_command_for_others_is_left_to_them() -> None:
    node = Mailbox("app").Node("worker", handlers={"note": lambda _state: "called"})
    assert await node.handle_message({"method": "note", "destination": ["other"]}) is None
    assert await node.handle_message({"method": "note", "destination": ["other", "worker"]}) == "called"


@pytest.mark.parametrize("body", ["text", 1, None, [], {"no": "method"}])
async def test_what_is_no_command_is_logged_and_does_no_harm(body: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        assert await Mailbox("app").Node("worker").handle_message(body) is None
    assert "no command" in caplog.text


async def test_a_command_that_cannot_be_decoded_is_logged(url: str, caplog: pytest.LogCaptureFixture) -> None:
    processes = await start(url, "one")
    async with Connection(url) as connection:
        producer = connection.Producer()
        await producer.publish(b"{", exchange="app.pidbox", content_type="application/json", routing_key="")
        mailbox = Mailbox("app", connection=connection)
        assert await mailbox.call(["one"], "ping", timeout=10) == [{"one": "pong of one"}]
    assert "cannot be decoded" in caplog.text
    await stop(processes)


async def test_a_command_without_a_reply_is_carried_out(url: str) -> None:
    called: list[str] = []
    process = Process(url, "one")
    process.node.handlers["note"] = lambda _state, text: called.append(text)
    await process.start()
    async with Connection(url) as connection:
        mailbox = Mailbox("app", connection=connection)
        await mailbox.cast(["one"], "note", {"text": "to one"})
        await mailbox.abcast("note", {"text": "to all"})
        for _ in range(1000):
            if len(called) == 2:
                break
            await sleep(0.01)
    assert called == ["to one", "to all"]
    await process.stop()


async def test_messages_have_the_form_that_others_understand(url: str) -> None:
    mine: Queue = Queue("mine")
    async with Connection(url) as connection:
        mailbox = Mailbox("app", connection=connection, clock=LamportClock(41))
        node_queue = mailbox.get_queue("worker")(connection)
        await node_queue.declare()
        replies = await mailbox._broadcast(
            "ping", {"a": 1}, ["worker"], reply=True, timeout=0.01, pattern="w*", matcher="glob"
        )
        assert replies == []
        message = await node_queue.get()
        assert message is not None
        ticket = message.payload["ticket"]
        assert message.payload == {
            "method": "ping",
            "arguments": {"a": 1},
            "destination": ["worker"],
            "pattern": "w*",
            "matcher": "glob",
            "ticket": ticket,
            "reply_to": {"exchange": "reply.app.pidbox", "routing_key": mailbox.oid},
        }
        assert message.headers["clock"] == 42
        assert message.headers["expires"] > 0
        await mine(connection).declare()
        await mine(connection).bind_to("reply.app.pidbox", mailbox.oid)
        await mailbox._publish_reply({"worker": 1}, "reply.app.pidbox", mailbox.oid, ticket)
        reply = await mine(connection).get()
        assert reply is not None
        assert reply.payload == {"worker": 1}
        assert reply.headers == {"ticket": ticket, "clock": 43}


async def test_the_clock_overtakes_what_it_hears_of() -> None:
    mailbox = Mailbox("app")
    node = mailbox.Node("worker", handlers={"note": lambda _state: None})
    await node.handle_message({"method": "note"}, Message(headers={"clock": 99}))
    assert mailbox.clock.value == 100


async def test_queues_are_declared_as_asked_for() -> None:
    plain = Mailbox("app")
    assert plain.get_queue("worker").name == "worker.app.pidbox"
    assert plain.get_queue("worker").exclusive
    assert plain.get_queue("worker").auto_delete
    assert plain.reply_queue.name == f"{plain.oid}.reply.app.pidbox"
    assert plain.reply_queue.expires == 10
    lasting = Mailbox(
        "app",
        queue_durable=True,
        queue_exclusive=False,
        queue_ttl=1,
        queue_expires=2,
        reply_queue_ttl=3,
        reply_queue_expires=4,
    )
    queue, replies = lasting.get_queue("worker"), lasting.reply_queue
    assert (queue.durable, queue.exclusive, queue.auto_delete) == (True, False, False)
    assert (queue.message_ttl, queue.expires, replies.message_ttl, replies.expires) == (1, 2, 3, 4)


def test_an_exclusive_queue_cannot_be_durable() -> None:
    with pytest.raises(errors.InvalidArgument, match="exclusive and durable"):
        Mailbox("app", queue_durable=True, queue_exclusive=True)


async def test_a_name_that_is_taken_is_refused(url: str) -> None:
    processes = await start(url, "one")
    other = Process(url, "one")
    with pytest.raises(errors.ResourceLocked, match="'one' is in use by another process"):
        await other.node.listen()
    await other.connection.close()
    await stop(processes)


async def test_a_shared_mailbox_in_use_is_warned_of(url: str) -> None:
    processes = await start(url, "one", queue_exclusive=False)
    other = Process(url, "one", queue_exclusive=False)
    with pytest.warns(UserWarning, match="'one' is in use"):
        await other.node.listen()
    await other.connection.close()
    await stop(processes)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"destination": "one"}, "destination"), ({"pattern": 1}, "pattern"), ({"matcher": 1}, "matcher")],
)
async def test_wrong_arguments_are_refused(url: str, wrong: dict[str, Any], named: str) -> None:
    async with Connection(url) as connection:
        with pytest.raises(errors.InvalidArgument, match=named):
            await Mailbox("app", connection=connection)._broadcast("ping", **wrong)


async def test_calls_at_the_same_time_get_their_own_replies(url: str) -> None:
    processes = await start(url, "one")
    async with Connection(url) as connection:
        mailbox = Mailbox("app", connection=connection)
        got: dict[int, Any] = {}

        async def call(number: int) -> None:
            got[number] = await mailbox.call(["one"], "add", {"a": number}, timeout=20)

        calls = [spawn(partial(call, number), f"call {number}") for number in range(5)]
        for each in calls:
            assert await each.join(30)
        assert got == {number: [{"one": number + 1}] for number in range(5)}
    await stop(processes)


async def test_a_pool_of_producers_may_be_given_or_a_way_to_it(url: str) -> None:
    async with Connection(url) as connection:
        pool = ProducerPool(connection.Pool(1), limit=1)
        for given in (pool, lambda: pool):
            mailbox = Mailbox("app", connection=connection, producer_pool=given)
            assert mailbox.producer_pool is pool
            async with mailbox.producer_or_acquire() as producer:
                assert producer is not None
                assert "1 in use" in repr(pool)
            del mailbox.producer_pool
            assert mailbox.producer_pool is pool


async def test_a_mailbox_may_be_told_to_forget_a_pool_of_producers_that_it_never_asked_for() -> None:
    # A forked child does so, whatever its parent has done (Celery's does).
    asked = []
    mailbox = Mailbox("app", producer_pool=lambda: asked.append("asked"))
    del mailbox.producer_pool
    assert asked == []
    assert mailbox.producer_pool is None
    assert asked == ["asked"]


async def test_a_node_belongs_to_a_mailbox() -> None:
    with pytest.raises(errors.InvalidArgument, match="needs a mailbox"):
        Node("worker")
    assert Mailbox("app").Node().hostname

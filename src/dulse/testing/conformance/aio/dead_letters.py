"""What a queue gives up goes to its dead letter exchange, and tells its story."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from dulse import errors
from dulse.aio.entity import Exchange, Queue
from dulse.links.waiting.aio import sleep
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import collect, eventually, ready, take
from dulse.testing.conformance.expecting import expected


def to(exchange: Exchange | str, key: str | None = None) -> dict[str, Any]:
    """Give the arguments of a queue that dead-letters to an exchange, by its own key or the messages' keys."""
    arguments = {"x-dead-letter-exchange": exchange if isinstance(exchange, str) else exchange.name}
    return arguments if key is None else {**arguments, "x-dead-letter-routing-key": key}


async def reject(queue: Queue[Any]) -> None:
    """Reject the message that is ready."""
    await (await take(queue)).reject()


@case("a rejected message goes to the dead letter exchange with the routing key it had")
async def rejected(broker: Broker) -> None:
    graveyard = await broker.exchange("direct")
    graves = await broker.queue(graveyard, "red")
    queue = await broker.queue(queue_arguments=to(graveyard))
    exchange = await broker.exchange("direct")
    await queue.bind_to(exchange, "red")
    await broker.publish(exchange, "red", "message")
    connection = await broker.connection()
    await reject(queue.bind(connection))
    (dead,) = await collect(broker.main, graves, 1)
    assert dead.payload == "message"
    assert dead.delivery_info["routing_key"] == "red"
    assert dead.delivery_info["exchange"] == graveyard.name
    await connection.close()
    assert await ready(queue) == []


@case("a dead letter routing key of the queue takes the place of the message's")
async def another_key(broker: Broker) -> None:
    graveyard = await broker.exchange("direct")
    graves = await broker.queue(graveyard, "dead")
    queue = await broker.queue(queue_arguments=to(graveyard, "dead"))
    await broker.send(queue, "message")
    await reject(queue)
    (dead,) = await collect(broker.main, graves, 1)
    assert dead.delivery_info["routing_key"] == "dead"


@case("the default exchange will do: the key is then a queue's name")
async def by_the_default_exchange(broker: Broker) -> None:
    graves = await broker.queue()
    queue = await broker.queue(queue_arguments=to("", graves.name))
    await broker.send(queue, "message")
    await reject(queue)
    assert [dead.payload for dead in await collect(broker.main, graves, 1)] == ["message"]


@case("an expired message is dead-lettered for the reason expired, and cannot expire again there")
async def expired(broker: Broker) -> None:
    graves = await broker.queue()
    queue = await broker.queue(queue_arguments=to("", graves.name))
    await broker.send(queue, "message", expiration=0.1)
    (dead,) = await collect(broker.main, graves, 1)
    assert dead.payload == "message"
    assert dead.headers["x-death"][0]["reason"] == "expired"
    assert dead.headers["x-death"][0]["original-expiration"] == "100"
    assert "expiration" not in dead.properties


@case("x-death says from which queue, why, when, how often, and how the message had come there")
async def the_story(broker: Broker) -> None:
    graves = await broker.queue()
    exchange = await broker.exchange("direct")
    queue = await broker.queue(exchange, "red", queue_arguments=to("", graves.name))
    await broker.publish(exchange, "red", "message")
    await reject(queue)
    (dead,) = await collect(broker.main, graves, 1)
    (death,) = dead.headers["x-death"]
    time = death.pop("time")
    assert death == {
        "count": 1,
        "reason": "rejected",
        "queue": queue.name,
        "exchange": exchange.name,
        "routing-keys": ["red"],
    }
    when = time if time.tzinfo else time.replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - when) < timedelta(minutes=5)


@case("x-first-death headers keep reason, queue and exchange of the first death through later ones")
async def the_first_death(broker: Broker) -> None:
    last = await broker.queue()
    second = await broker.queue(queue_arguments=to("", last.name))
    first = await broker.queue(message_ttl=0.1, queue_arguments=to("", second.name))
    await broker.send(first, "message")

    async def came_on() -> bool:
        message = await second.get()
        if message is not None:
            await message.reject()
        return message is not None

    await eventually(came_on)
    (dead,) = await collect(broker.main, last, 1)
    assert dead.headers["x-first-death-reason"] == "expired"
    assert dead.headers["x-first-death-queue"] == first.name
    assert dead.headers["x-first-death-exchange"] == ""
    story = [(death["queue"], death["reason"]) for death in dead.headers["x-death"]]
    assert story == [(second.name, "rejected"), (first.name, "expired")]


@case("deaths in one queue for one reason are counted in one entry, as where messages are tried again later")
async def counted(broker: Broker) -> None:
    names = [broker.name(), broker.name()]
    work = await broker.queue(name=names[0], queue_arguments=to("", names[1]))
    await broker.queue(name=names[1], message_ttl=0.1, queue_arguments=to("", names[0]))
    await broker.send(work, "message")
    deaths: list[list[tuple[str, int]]] = []
    for _ in range(3):
        (message,) = await collect_unsettled(work)
        story = message.headers.get("x-death", [])
        deaths.append([(death["reason"], death["count"]) for death in story])
        await message.reject()
    assert deaths == [[], [("expired", 1), ("rejected", 1)], [("expired", 2), ("rejected", 2)]]


async def collect_unsettled(queue: Queue[Any]) -> list[Any]:
    """Wait for one message and give it, not settled."""
    found: list[Any] = []

    async def came() -> bool:
        message = await queue.get()
        if message is not None:
            found.append(message)
        return bool(found)

    await eventually(came)
    return found


@case("body, headers and properties of a dead letter are as they were")
async def as_it_was(broker: Broker) -> None:
    graves = await broker.queue()
    queue = await broker.queue(queue_arguments=to("", graves.name))
    await broker.send(queue, {"a": 1}, headers={"b": [1, 2]}, correlation_id="c", reply_to="d")
    await reject(queue)
    (dead,) = await collect(broker.main, graves, 1)
    assert dead.payload == {"a": 1}
    assert dead.headers["b"] == [1, 2]
    assert dead.properties["correlation_id"] == "c"
    assert dead.properties["reply_to"] == "d"
    assert dead.delivery_info["redelivered"] is False


@case("what is put back, purged or deleted with its queue is not dead-lettered, nor what is acknowledged")
async def what_is_not(broker: Broker) -> None:
    graves = await broker.queue()
    queue = await broker.queue(queue_arguments=to("", graves.name))
    await broker.send(queue, "acked", "put back", "purged")
    await (await take(queue)).ack()
    await (await take(queue)).requeue()
    assert await queue.purge() == 2
    await broker.send(queue, "deleted")
    await queue.delete()
    await broker.send(graves, "last")
    assert await ready(graves) == ["last"]


@case("a dead letter exchange that does not exist drops the message, and nothing breaks")
async def missing(broker: Broker) -> None:
    queue = await broker.queue(queue_arguments=to(broker.name("missing")))
    await broker.send(queue, "one", "two")
    await reject(queue)
    assert await ready(queue) == ["two"]


@case("a message that expires round in a circle, with nobody rejecting it, is dropped")
async def circles(broker: Broker) -> None:
    names = [broker.name(), broker.name()]
    first = await broker.queue(name=names[0], message_ttl=0.1, queue_arguments=to("", names[1]))
    second = await broker.queue(name=names[1], message_ttl=0.1, queue_arguments=to("", names[0]))
    await broker.send(first, "message")

    async def are_empty() -> bool:
        counts = [(await queue.queue_declare(passive=True)).message_count for queue in (first, second)]
        return counts == [0, 0]

    await eventually(are_empty)
    for _ in range(2):
        await sleep(0.15)
        assert await are_empty()


@case("dead letters go by topics and to several queues as any message does", requires=("topic",))
async def by_topic(broker: Broker) -> None:
    graveyard = await broker.exchange("topic")
    graves = [await broker.queue(graveyard, key) for key in ("stock.#", "*.usd", "news.#")]
    queue = await broker.queue(queue_arguments=to(graveyard, "stock.usd"))
    await broker.send(queue, "message")
    await reject(queue)
    for each in graves[:2]:
        assert [dead.payload for dead in await collect(broker.main, each, 1)] == ["message"]
    assert await ready(graves[2]) == []


@case("a dead letter routing key without a dead letter exchange is refused (406)")
async def a_key_alone(broker: Broker) -> None:
    with expected(errors.PreconditionFailed):
        await broker.queue(queue_arguments={"x-dead-letter-routing-key": "key"})

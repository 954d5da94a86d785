"""A headers exchange compares the headers of a message with the arguments of bindings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dulse import errors
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import ready
from dulse.testing.conformance.expecting import expected

HEADERS = ("headers",)

Table = Mapping[str, Any]


async def matching(broker: Broker, arguments: Table, *tables: Table) -> list[int]:
    """Give the numbers of those headers that a binding's arguments match."""
    exchange = await broker.exchange("headers")
    queue = await broker.queue()
    await queue.bind_to(exchange, arguments=arguments)
    for number, headers in enumerate(tables):
        await broker.publish(exchange, "", number, headers=headers)
    return await ready(queue)


@case("x-match all wants every pair, with these values", requires=HEADERS)
async def all_of_them(broker: Broker) -> None:
    wanted = {"x-match": "all", "format": "pdf", "pages": 3}
    tables: list[Table] = [
        {"format": "pdf", "pages": 3},
        {"format": "pdf", "pages": 3, "more": True},
        {"format": "pdf", "pages": 4},
        {"format": "pdf"},
        {},
    ]
    assert await matching(broker, wanted, *tables) == [0, 1]


@case("x-match any wants one pair at least", requires=HEADERS)
async def any_of_them(broker: Broker) -> None:
    wanted = {"x-match": "any", "format": "pdf", "pages": 3}
    tables: list[Table] = [
        {"format": "pdf", "pages": 3},
        {"format": "txt", "pages": 3},
        {"format": "pdf"},
        {"format": "txt"},
        {},
    ]
    assert await matching(broker, wanted, *tables) == [0, 1, 2]


@case("without x-match all pairs are wanted", requires=HEADERS)
async def all_by_default(broker: Broker) -> None:
    wanted = {"format": "pdf", "pages": 3}
    assert await matching(broker, wanted, {"format": "pdf", "pages": 3}, {"format": "pdf"}) == [0]


@case("a number and its text are different values, and so are true and 1", requires=HEADERS)
async def types_count(broker: Broker) -> None:
    assert await matching(broker, {"value": 1}, {"value": "1"}, {"value": True}, {"value": 1}) == [2]


@case("an argument without a value wants the header to be there, whatever it says", requires=HEADERS)
async def presence(broker: Broker) -> None:
    tables: list[Table] = [{"format": "pdf"}, {"format": 7}, {"other": "pdf"}]
    assert await matching(broker, {"x-match": "all", "format": None}, *tables) == [0, 1]


@case("a binding without pairs matches everything by all, and nothing by any", requires=HEADERS)
async def no_pairs(broker: Broker) -> None:
    tables: list[Table] = [{}, {"format": "pdf"}]
    assert await matching(broker, {"x-match": "all"}, *tables) == [0, 1]
    assert await matching(broker, {"x-match": "any"}, *tables) == []


@case("names that begin with x- count only with all-with-x and any-with-x", requires=HEADERS)
async def names_with_x(broker: Broker) -> None:
    tables: list[Table] = [{"format": "pdf", "x-kind": "a"}, {"format": "pdf", "x-kind": "b"}, {"x-kind": "a"}]
    pairs = {"format": "pdf", "x-kind": "a"}
    assert await matching(broker, {"x-match": "all", **pairs}, *tables) == [0, 1]
    assert await matching(broker, {"x-match": "all-with-x", **pairs}, *tables) == [0]
    assert await matching(broker, {"x-match": "any", **pairs}, *tables) == [0, 1]
    assert await matching(broker, {"x-match": "any-with-x", **pairs}, *tables) == [0, 1, 2]


@case("routing keys mean nothing to it", requires=HEADERS)
async def keys_mean_nothing(broker: Broker) -> None:
    exchange = await broker.exchange("headers")
    queue = await broker.queue()
    await queue.bind_to(exchange, "one", {"format": "pdf"})
    await broker.publish(exchange, "two", "wanted", headers={"format": "pdf"})
    await broker.publish(exchange, "one", "unwanted", headers={"format": "txt"})
    assert await ready(queue) == ["wanted"]


@case("messages of the same routing key go different ways, each by its own headers", requires=HEADERS)
async def each_by_its_own(broker: Broker) -> None:
    exchange = await broker.exchange("headers")
    queues = [await broker.queue() for _ in range(2)]
    for number, queue in enumerate(queues):
        await queue.bind_to(exchange, arguments={"number": number})
    for number in (0, 1, 0, 2):
        await broker.publish(exchange, "key", number, headers={"number": number})
    assert [await ready(queue) for queue in queues] == [[0, 0], [1]]


@case("an x-match that is none of the four is refused (406)", requires=HEADERS)
async def unknown_x_match(broker: Broker) -> None:
    exchange = await broker.exchange("headers")
    queue = await broker.queue()
    with expected(errors.PreconditionFailed):
        await queue.bind_to(exchange, arguments={"x-match": "some", "format": "pdf"})


@case("a binding is taken away by naming its arguments; one with others stays", requires=HEADERS)
async def unbinding(broker: Broker) -> None:
    exchange = await broker.exchange("headers")
    queue = await broker.queue()
    await queue.bind_to(exchange, arguments={"format": "pdf"})
    await queue.bind_to(exchange, arguments={"format": "txt"})
    await queue.unbind_from(exchange, arguments={"format": "pdf"})
    await broker.publish(exchange, "", "one", headers={"format": "pdf"})
    await broker.publish(exchange, "", "two", headers={"format": "txt"})
    assert await ready(queue) == ["two"]

"""A topic exchange matches routing keys, word by word, with the patterns of bindings."""

from __future__ import annotations

from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import ready

TOPIC = ("topic",)


async def matching(broker: Broker, pattern: str, *keys: str) -> list[str]:
    """Give those of the keys that a pattern matches."""
    exchange = await broker.exchange("topic")
    queue = await broker.queue(exchange, pattern)
    for key in keys:
        await broker.publish(exchange, key, key)
    return await ready(queue)


@case("a pattern without wildcards matches that key alone", requires=TOPIC)
async def no_wildcard(broker: Broker) -> None:
    assert await matching(broker, "stock.usd", "stock.usd", "stock", "stock.usd.db", "stock.eur") == ["stock.usd"]


@case("* matches exactly one word", requires=TOPIC)
async def star(broker: Broker) -> None:
    keys = ("stock.usd.db", "stock.eur.db", "stock.db", "stock.usd.eur.db", "usd.db")
    assert await matching(broker, "stock.*.db", *keys) == ["stock.usd.db", "stock.eur.db"]


@case("# matches any number of words at the end, and none", requires=TOPIC)
async def hash_at_the_end(broker: Broker) -> None:
    keys = ("stock", "stock.usd", "stock.usd.db.x", "stocks", "usd.stock")
    assert await matching(broker, "stock.#", *keys) == ["stock", "stock.usd", "stock.usd.db.x"]


@case("# matches any number of words in the middle, and none", requires=TOPIC)
async def hash_in_the_middle(broker: Broker) -> None:
    keys = ("a.z", "a.b.z", "a.b.c.z", "a.z.z", "a.b", "z", "a.b.z.c")
    assert await matching(broker, "a.#.z", *keys) == ["a.z", "a.b.z", "a.b.c.z", "a.z.z"]


@case("# alone matches every key, the empty one too", requires=TOPIC)
async def hash_alone(broker: Broker) -> None:
    assert await matching(broker, "#", "", "a", "a.b.c") == ["", "a", "a.b.c"]


@case("* and # go together: *.stock.# takes usd.stock and eur.stock.db, and not stock.nasdaq", requires=TOPIC)
async def star_and_hash(broker: Broker) -> None:
    keys = ("usd.stock", "eur.stock.db", "stock.nasdaq", "a.b.stock")
    assert await matching(broker, "*.stock.#", *keys) == ["usd.stock", "eur.stock.db"]


@case("* does not match the key without words", requires=TOPIC)
async def star_needs_a_word(broker: Broker) -> None:
    assert await matching(broker, "*", "", "a", "a.b") == ["a"]


@case("a word may hold any character; a wildcard within a word is a letter", requires=TOPIC)
async def any_character(broker: Broker) -> None:
    keys = ("a-b c.$é.x*", "a-b c.日本.x*", "a-b c.y.xz")
    assert await matching(broker, "a-b c.*.x*", *keys) == ["a-b c.$é.x*", "a-b c.日本.x*"]


@case("a word between two dots counts, though it is empty", requires=TOPIC)
async def empty_words(broker: Broker) -> None:
    assert await matching(broker, "a.*.b", "a..b", "a.b", "a.x.b") == ["a..b", "a.x.b"]


@case("a queue gets a message once, however many of its patterns match", requires=TOPIC)
async def once(broker: Broker) -> None:
    exchange = await broker.exchange("topic")
    queue = await broker.queue(exchange, "#", "a.*", "*.b", "a.b", "a.#")
    await broker.publish(exchange, "a.b", "message")
    assert await ready(queue) == ["message"]


@case("a pattern that is taken away matches nothing any more, and the others still do", requires=TOPIC)
async def unbinding(broker: Broker) -> None:
    exchange = await broker.exchange("topic")
    queue = await broker.queue(exchange, "a.*", "b.*")
    await queue.unbind_from(exchange, "a.*")
    await broker.publish(exchange, "a.x", "a")
    await broker.publish(exchange, "b.x", "b")
    assert await ready(queue) == ["b"]

"""Each rule that turns an asyncio source into its blocking form."""

from __future__ import annotations

import ast

import pytest

from blocking_form import NAMES, UnasyncError, translate


@pytest.mark.parametrize(
    ("asyncio_form", "blocking_form"),
    [
        ("async def f(): ...\n", "def f(): ...\n"),
        ("async def f():\n    return await g()\n", "def f():\n    return g()\n"),
        ("async def f():\n    async with a() as b:\n        pass\n", "def f():\n    with a() as b:\n        pass\n"),
        ("async def f():\n    async for x in y:\n        pass\n", "def f():\n    for x in y:\n        pass\n"),
        ("async def f():\n    return [x async for x in y]\n", "def f():\n    return [x for x in y]\n"),
        ("async def f():\n    await  g()\n", "def f():\n    g()\n"),
        ("async def f():\n    print(await g(), -await h())\n", "def f():\n    print(g(), -h())\n"),
        ("@decorated\nasync def f(): ...\n", "@decorated\ndef f(): ...\n"),
    ],
)
def test_async_and_await_are_dropped(asyncio_form: str, blocking_form: str) -> None:
    assert translate(asyncio_form) == blocking_form


@pytest.mark.parametrize(
    ("asyncio_form", "blocking_form"),
    [
        ("(await g()).name", "g().name"),
        ("(await (await g()).h())[0]", "g().h()[0]"),
        ("[x for x in (await g())]", "[x for x in g()]"),
        ("return_value((await g()))", "return_value(g())"),
        ("f(await g())", "f(g())"),
        ("f[0](await g())", "f[0](g())"),
        ("(await g(), 1)", "(g(), 1)"),
        ("(await g() or h)", "(g() or h)"),
        ("(await (a if b else c))", "(a if b else c)"),
    ],
)
def test_parentheses_around_await_go_where_nothing_else_needs_them(asyncio_form: str, blocking_form: str) -> None:
    assert translate(f"async def f():\n    x = {asyncio_form}\n") == f"def f():\n    x = {blocking_form}\n"


def test_parentheses_behind_a_keyword_are_no_call() -> None:
    assert translate("async def f():\n    return (await g()).x\n") == "def f():\n    return g().x\n"


@pytest.mark.parametrize(("name", "replacement"), NAMES.items())
def test_a_name_of_the_asyncio_form_becomes_its_blocking_twin(name: str, replacement: str) -> None:
    assert translate(f"x.{name}({name})\n") == f"x.{replacement}({replacement})\n"


def test_a_longer_name_that_contains_one_of_the_table_stays() -> None:
    source = "my_anext = MyAsyncStorage  # MyAsyncStorage\n"
    assert translate(source) == source


@pytest.mark.parametrize(
    ("asyncio_form", "blocking_form"),
    [
        ("Awaitable[int]", "int"),
        ("Awaitable[dict[str, list[int]]]", "dict[str, list[int]]"),
        ("Awaitable[Awaitable[int]]", "int"),
        ("Callable[[A, B], Awaitable[None]]", "Callable[[A, B], None]"),
        ("Callable[[], Coroutine[Any, Any, tuple[A, B]]]", "Callable[[], tuple[A, B]]"),
        ("Coroutine[\n    Any,\n    Any,\n    A,\n]", "A"),
        ("Awaitable[None] | None", "None"),
        ("None | Awaitable[None]", "None"),
        ("Awaitable[A[B]] | A[B] | C", "A[B] | C"),
        ("Awaitable[A] | B", "A | B"),
    ],
)
def test_an_awaitable_type_becomes_what_it_gives(asyncio_form: str, blocking_form: str) -> None:
    assert translate(f"x: {asyncio_form}\n") == f"x: {blocking_form}\n"


@pytest.mark.parametrize(
    ("asyncio_form", "blocking_form"),
    [
        ("await finished(g(a)(b))", "g(a)(b)"),
        ("await finished(self.on_message(message))", "self.on_message(message)"),
        ("await finished(await finished(g()))", "g()"),
        ("await finished(await g())", "g()"),
        ("await finished(f(\n        a,\n        (b, c),\n    ))", "f(\n        a,\n        (b, c),\n    )"),
        ("await finished(\n        g(),\n    )", "g()"),
        ("await finished(a or b) + 1", "(a or b) + 1"),
        ("await finished(a if b else c)", "(a if b else c)"),
    ],
)
def test_finished_becomes_its_value(asyncio_form: str, blocking_form: str) -> None:
    assert translate(f"async def f():\n    x = {asyncio_form}\n") == f"def f():\n    x = {blocking_form}\n"


@pytest.mark.parametrize(
    "source",
    ["import asyncio\n", "x = asyncio.sleep\n", "x = finished\n", "x = finished(g())\n"],
)
def test_what_has_no_blocking_form_is_refused_with_its_line(source: str) -> None:
    with pytest.raises(UnasyncError, match=r"line 2: .* has no blocking form"):
        translate(f"\n{source}")


def test_finished_with_two_values_is_refused() -> None:
    with pytest.raises(UnasyncError, match="line 2: finished\\(\\) takes one value"):
        translate("async def f():\n    await finished(a, b)\n")


@pytest.mark.parametrize(
    ("asyncio_form", "blocking_form"),
    [
        ("from m import Event, finished, sleep\n", "from m import Event, sleep\n"),
        ("from m import finished, sleep\n", "from m import sleep\n"),
        ("from m import Event, finished\n", "from m import Event\n"),
        ("from m import (\n    Event,\n    finished,\n)\n", "from m import (\n    Event,\n)\n"),
        ("import a\nfrom m import finished\nimport b\n", "import a\nimport b\n"),
        ("from m import (\n    finished,\n)\n\nx = 1\n", "\nx = 1\n"),
        ("if a:\n    import b\n\n    from m import finished\n    x = 1\n", "if a:\n    import b\n\n    x = 1\n"),
        ("from m import Awaitable, Callable\nx: Awaitable[int]\n", "from m import Callable\nx: int\n"),
        ("from m import Awaitable\nisinstance(x, Awaitable)\n", "from m import Awaitable\nisinstance(x, Awaitable)\n"),
    ],
)
def test_imports_that_became_useless_are_dropped(asyncio_form: str, blocking_form: str) -> None:
    assert translate(asyncio_form) == blocking_form


@pytest.mark.parametrize(
    ("asyncio_form", "blocking_form"),
    [
        ("from dulse.aio import Connection\n", "from dulse.sync import Connection\n"),
        ("from dulse.aio.pools import Pool\n", "from dulse.sync.pools import Pool\n"),
        ("import dulse.virtual.aio.channel as c\n", "import dulse.virtual.sync.channel as c\n"),
        ("from dulse.links.waiting.aio import Event\n", "from dulse.links.waiting.sync import Event\n"),
        ("from dulse.links.waiting import aio as waiting\n", "from dulse.links.waiting import sync as waiting\n"),
        ("from dulse import aio\nc = aio.Connection\n", "from dulse import sync\nc = sync.Connection\n"),
        ("from dulse.testing.conformance.aio import acks\n", "from dulse.testing.conformance.sync import acks\n"),
        ("from tests.front.aio import places\n", "from tests.front.sync import places\n"),
        ("from grpc.aio import channel\n", "from grpc.aio import channel\n"),
    ],
)
def test_modules_of_the_asyncio_form_become_their_twins(asyncio_form: str, blocking_form: str) -> None:
    assert translate(asyncio_form) == blocking_form


@pytest.mark.parametrize(
    ("asyncio_form", "blocking_form"),
    [
        ("Use it as ``async with Connection() as c``.", "Use it as ``with Connection() as c``."),
        ("    async for message in consumer:", "    for message in consumer:"),
        ("    await consumer.close()", "    consumer.close()"),
        ("    reply = await pending", "    reply = pending"),
        (">>> await pending", ">>> pending"),
        ("Call `await x` twice.", "Call `x` twice."),
        ("They await the reply (or not).", "They await the reply (or not)."),
        ("The asyncio form of an asyncio API.", "The blocking form of a blocking API."),
        ("An asyncio lock. As asyncio.", "A blocking lock. As blocking."),
        ("Raises asyncio.CancelledError.", "Raises asyncio.CancelledError."),
        ("See dulse.aio.Connection in dulse/aio.", "See dulse.sync.Connection in dulse/sync."),
        ("An AsyncStorage has aclose().", "A Storage has close()."),
        ("An AsyncIterator or an AsyncStorage.", "An Iterator or a Storage."),
        ("It is asynchronous.", "It is asynchronous."),
    ],
)
def test_strings_and_comments_are_reworded_by_table(asyncio_form: str, blocking_form: str) -> None:
    assert translate(f'"""{asyncio_form}"""\n') == f'"""{blocking_form}"""\n'
    assert translate(f"x = 1  # {asyncio_form}\n") == f"x = 1  # {blocking_form}\n"


def test_await_in_a_formatted_string_is_dropped() -> None:
    asyncio_form = 'async def f():\n    return f"{await g.h(1)} and {await x}"\n'
    assert translate(asyncio_form) == 'def f():\n    return f"{g.h(1)} and {x}"\n'


def test_comments_and_layout_are_kept() -> None:
    asyncio_form = (
        "# first\n\nasync def f(\n    a: int,  # one\n    # two\n) -> None:\n"
        "    # three\n    await g(  # four\n        a,\n    )\n\n\n# last\n"
    )
    assert translate(asyncio_form) == asyncio_form.replace("async ", "").replace("await ", "")


def test_a_whole_class_gives_a_class_that_works() -> None:
    source = '''
from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

class Numbers:
    """Use as ``async with``."""

    def __init__(self, count: int, each: Callable[[int], Awaitable[None] | None]) -> None:
        self.left, self.each = count, each

    async def __aenter__(self) -> Numbers:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def __aiter__(self) -> AsyncIterator[int]:
        return self

    async def __anext__(self) -> int:
        if not self.left:
            raise StopAsyncIteration
        self.left -= 1
        self.each(self.left)
        return self.left

    async def aclose(self) -> None:
        self.left = -1

@asynccontextmanager
async def opened(count: int) -> AsyncIterator[Numbers]:
    async with Numbers(count, lambda left: None) as numbers:
        yield numbers

async def run() -> list[int]:
    async with opened(3) as numbers:
        return [number async for number in numbers]
'''
    blocking = translate(source)
    names: dict[str, object] = {}
    exec(compile(ast.parse(blocking), "blocking", "exec"), names)
    run = names["run"]
    assert callable(run)
    assert run() == [2, 1, 0]


def test_a_source_that_does_not_compile_is_refused() -> None:
    with pytest.raises(SyntaxError):
        translate("if TYPE_CHECKING:\n    from m import finished\n")

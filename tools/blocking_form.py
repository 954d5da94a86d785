"""Translate one asyncio source to its blocking form, by rules over tokens."""

from __future__ import annotations

import re
import tokenize
from collections.abc import Callable, Iterator

from pieces import Piece, arguments, closing, is_primary, join, split, texts

PACKAGES = (
    "dulse",
    "dulse.virtual",
    "dulse.links.redis",
    "dulse.links.streams",
    "dulse.links.waiting",
    "dulse.testing.conformance",
    "dulse.transports.amqp",
    "dulse.transports.redis",
    "tests.front",
    "tests.links.redis",
    "tests.virtual",
)
"""The packages whose member `aio` has a twin `sync`."""

LINKS = ("asynchronous", "dulse.links", "blocking")
"""The member of that package which has a twin written by hand, and the twin's name."""

NAMES = {
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
    "AbstractAsyncContextManager": "AbstractContextManager",
    "AsyncExitStack": "ExitStack",
    "AsyncGenerator": "Generator",
    "AsyncIterable": "Iterable",
    "AsyncIterator": "Iterator",
    "AsyncManagement": "Management",
    "AsyncObserver": "Observer",
    "AsyncStorage": "Storage",
    "AsyncTransactionalChannel": "TransactionalChannel",
    "AsyncTransactionalStorage": "TransactionalStorage",
    "AsyncTransport": "Transport",
    "AsyncTransportChannel": "TransportChannel",
    "StopAsyncIteration": "StopIteration",
    "aclose": "close",
    "aiter": "iter",
    "anext": "next",
    "asynccontextmanager": "contextmanager",
    "enter_async_context": "enter_context",
    "open_asyncio": "open_blocking",
    "push_async_exit": "push",
}
"""Renamed wherever they stand as a word, in code, strings and comments."""

UNWRAPPED = {"Awaitable": 0, "Coroutine": 2}
"""Generic types that become one of their arguments: Awaitable[X] and Coroutine[Any, Any, X] are X."""

FINISHED = "finished"
"""`await finished(value)`, of the asyncio form only, awaits what may be awaitable; in the blocking form nothing is."""


def _article(found: re.Match[str]) -> str:
    return f"{found[1]}n" if NAMES[found[2]][0] in "AEIO" else found[1]


_CALLED = r"(?=[A-Za-z_][\w.]*\()"
PHRASES: list[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]] = [
    (re.compile(rf"\b({'|'.join(map(re.escape, PACKAGES))})\.aio\b"), r"\1.sync"),
    (
        re.compile(
            r"\b((?:src/)?dulse(?:/virtual|/testing/conformance|/links/redis|/transports/(?:amqp|redis))?|tests/(?:front|virtual|links/redis))/aio\b"
        ),
        r"\1/sync",
    ),
    (re.compile(r"\basync (?=(?:with|for|def)\b)"), ""),
    # `await` is a word of English too: taken away only where an example of code follows.
    (re.compile(rf"\bawait {_CALLED}|(?<=[`={{])await |(?<=[=>] )await |(?<=return )await "), ""),
    (re.compile(r"\b([Aa])n asyncio\b(?!\.\w)"), r"\1 blocking"),
    (re.compile(r"(?<![\w.])asyncio\b(?!\.\w)"), "blocking"),
    (re.compile(rf"\b([Aa])n ({'|'.join(NAMES)})\b"), lambda found: f"{_article(found)} {NAMES[found[2]]}"),
    (re.compile(rf"\b({'|'.join(NAMES)})\b"), lambda found: NAMES[found[0]]),
]
"""What is replaced inside strings and comments, in this order."""


class UnasyncError(ValueError):
    """A source that the rules cannot translate."""


def moved(pieces: list[Piece], before: str) -> list[Piece]:
    """Put pieces where others stood, behind the white space of those."""
    first = pieces[0]
    return [Piece(before, first.text, first.kind, first.line), *pieces[1:]]


def without_finished(pieces: list[Piece]) -> list[Piece]:
    """Replace `await finished(value)` by the value, in parentheses where it would come apart without."""
    out: list[Piece] = []
    index = 0
    while index < len(pieces):
        if texts(pieces[index : index + 3]) != ["await", FINISHED, "("]:
            out.append(pieces[index])
            index += 1
            continue
        end = closing(pieces, index + 2)
        parts = arguments(pieces[index + 3 : end])
        if len(parts) != 1:
            raise UnasyncError(f"line {pieces[index].line}: {FINISHED}() takes one value")
        value = without_finished(parts[0])
        if not is_primary(value):
            value = [pieces[index + 2], *value, pieces[end]]
        out += moved(value, pieces[index].before)
        index = end + 1
    return out


def without_await(pieces: list[Piece]) -> list[Piece]:
    """Drop `async` and `await`, and the parentheses of `(await call()).attribute`."""
    out: list[Piece] = []
    index = 0
    while index < len(pieces):
        piece = pieces[index]
        if texts(pieces[index : index + 2]) == ["(", "await"]:
            end = closing(pieces, index)
            is_call = bool(out) and (out[-1].is_name or out[-1].text in {")", "]"})
            if not is_call and is_primary(pieces[index + 2 : end]):
                out += moved(without_await(pieces[index + 2 : end]), piece.before)
                index = end + 1
                continue
        if piece.kind == tokenize.NAME and piece.text in {"async", "await"}:
            pieces[index + 1].before = piece.before
        else:
            out.append(piece)
        index += 1
    return out


def without_awaitable(pieces: list[Piece]) -> list[Piece]:
    """Replace Awaitable[X] and Coroutine[Any, Any, X] by X, and a union of both by X alone."""
    out: list[Piece] = []
    index = 0
    while index < len(pieces):
        piece = pieces[index]
        if piece.text not in UNWRAPPED or index + 1 == len(pieces) or pieces[index + 1].text != "[":
            out.append(piece)
            index += 1
            continue
        end = closing(pieces, index + 1)
        inner = without_awaitable(arguments(pieces[index + 2 : end])[UNWRAPPED[piece.text]])
        index = end + 1
        size = len(inner)
        if texts(out[-size - 1 :]) == [*texts(inner), "|"]:
            out.pop()
            continue
        if texts(pieces[index : index + size + 1]) == ["|", *texts(inner)]:
            index += size + 1
        out += moved(inner, piece.before)
    return out


def imports(pieces: list[Piece]) -> Iterator[tuple[int, int, int]]:
    """Find each `from package import names`: where it begins, where its names begin, and where its line ends."""
    for index, piece in enumerate(pieces):
        at_start = not index or pieces[index - 1].kind in {tokenize.NEWLINE, tokenize.COMMENT}
        if piece.text == "from" and at_start:
            ends = (at for at in range(index, len(pieces)) if pieces[at].kind == tokenize.NEWLINE)
            end = next(ends, len(pieces))
            names = next(at for at in range(index, end) if pieces[at].text == "import") + 1
            yield index, names, end


def without_unused_imports(pieces: list[Piece]) -> list[Piece]:
    """Drop the imports that the other rules have made useless, and a statement of which nothing is left."""
    found = list(imports(pieces))
    statements = {at for begin, _, end in found for at in range(begin, end)}
    used = {piece.text for at, piece in enumerate(pieces) if at not in statements}
    useless = {FINISHED, *UNWRAPPED} - used
    dropped: set[int] = set()
    for begin, names, end in found:
        at_names = [at for at in range(names, end) if pieces[at].is_name]
        gone = {at for at in at_names if pieces[at].text in useless}
        if gone and len(gone) == len(at_names):
            dropped.update(range(begin, end + 1))
            if end + 1 < len(pieces):
                indented = pieces[begin].before.rpartition("\n")
                pieces[end + 1].before = "".join(indented[:2]) + pieces[end + 1].before
            continue
        for at in gone:
            last = pieces[at + 1].text != ","
            dropped.update({at - 1, at} if last else {at, at + 1})
    return [piece for at, piece in enumerate(pieces) if at not in dropped]


def with_sync_modules(pieces: list[Piece]) -> None:
    """Rename `aio` to `sync` in the paths of our packages, in import lists and as a name."""
    for index, piece in enumerate(pieces):
        if piece.text == "aio" and (not index or pieces[index - 1].text != "." or _path(pieces, index - 1) in PACKAGES):
            piece.text = "sync"
        elif piece.text == LINKS[0] and index and _path(pieces, index - 1) == LINKS[1]:
            piece.text = LINKS[2]


def _path(pieces: list[Piece], dot: int) -> str:
    parts: list[str] = []
    while dot > 0 and pieces[dot].text == "." and pieces[dot - 1].is_name:
        parts.append(pieces[dot - 1].text)
        dot -= 2
    return ".".join(reversed(parts))


def reworded(text: str) -> str:
    """Translate a string or a comment."""
    for pattern, replacement in PHRASES:
        text = pattern.sub(replacement, text)
    return text


def check_nothing_left(pieces: list[Piece]) -> None:
    """Refuse what only the asyncio form can do."""
    for piece in pieces:
        if piece.kind == tokenize.NAME and piece.text in {"async", "await", "asyncio", FINISHED}:
            text = f"line {piece.line}: {piece.text!r} has no blocking form; put the difference in dulse.links.waiting"
            raise UnasyncError(text)


def translate(source: str) -> str:
    """Turn an asyncio source into its blocking twin, unformatted and without header."""
    pieces = without_awaitable(without_await(without_finished(split(source))))
    pieces = without_unused_imports(pieces)
    with_sync_modules(pieces)
    check_nothing_left(pieces)
    for piece in pieces:
        if piece.kind in {tokenize.STRING, tokenize.COMMENT}:
            piece.text = reworded(piece.text)
        else:
            piece.text = NAMES.get(piece.text, piece.text)
    blocking = join(pieces)
    compile(blocking, "<generated>", "exec", dont_inherit=True)
    return blocking

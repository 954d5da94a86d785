"""Python source as tokens that keep their white space, for tools that rewrite it without touching the layout."""

from __future__ import annotations

import io
import tokenize
from dataclasses import dataclass
from keyword import iskeyword


@dataclass
class Piece:
    """A token with the white space before it; all pieces joined are the source again."""

    before: str
    text: str
    kind: int
    line: int

    @property
    def is_name(self) -> bool:
        """Tell a name from keywords and the rest."""
        return self.kind == tokenize.NAME and not iskeyword(self.text)


KEPT = {tokenize.NAME, tokenize.OP, tokenize.NUMBER, tokenize.STRING, tokenize.COMMENT, tokenize.NEWLINE}
# From Python 3.12 on an f-string is many tokens; as one, the rules for strings treat it the same on every version.
_FSTRING = {getattr(tokenize, name, -1) for name in ("FSTRING_START", "TSTRING_START")}
_FSTRING_END = {getattr(tokenize, name, -2) for name in ("FSTRING_END", "TSTRING_END")}


def split(source: str) -> list[Piece]:
    """Cut a source into pieces; white space at its end is a piece without text."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    pieces: list[Piece] = []
    end = depth = start = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if not depth:
            start = starts[token.start[0] - 1] + token.start[1]
        depth += (token.type in _FSTRING) - (token.type in _FSTRING_END)
        if depth or not token.string or (token.type not in KEPT and token.type not in _FSTRING_END):
            continue
        kind = tokenize.STRING if token.type in _FSTRING_END else token.type
        stop = starts[token.end[0] - 1] + token.end[1]
        pieces.append(Piece(source[end:start], source[start:stop], kind, token.start[0]))
        end = stop
    if end < len(source):
        pieces.append(Piece(source[end:], "", tokenize.NL, len(starts)))
    return pieces


def join(pieces: list[Piece]) -> str:
    """Put pieces together again."""
    return "".join(piece.before + piece.text for piece in pieces)


def texts(pieces: list[Piece]) -> list[str]:
    """Show pieces without their white space."""
    return [piece.text for piece in pieces]


def closing(pieces: list[Piece], opening: int) -> int:
    """Find the bracket that closes the one at `opening`."""
    depth = 0
    for index in range(opening, len(pieces)):
        if pieces[index].kind == tokenize.OP:
            depth += (pieces[index].text in "([{") - (pieces[index].text in ")]}")
            if not depth:
                return index
    raise ValueError(f"line {pieces[opening].line}: {pieces[opening].text!r} is never closed")


def arguments(pieces: list[Piece]) -> list[list[Piece]]:
    """Split what stands between brackets at its own commas; a trailing one adds nothing."""
    parts: list[list[Piece]] = [[]]
    index = 0
    while index < len(pieces):
        stop = closing(pieces, index) if pieces[index].text in {"(", "[", "{"} else index
        if pieces[index].text == ",":
            parts.append([])
        else:
            parts[-1] += pieces[index : stop + 1]
        index = stop + 1
    return [part for part in parts if part]


def is_primary(pieces: list[Piece]) -> bool:
    """Tell whether an expression binds as tightly as a name, and stands on one line outside its own brackets."""
    index = 0
    while index < len(pieces):
        piece = pieces[index]
        is_trailer = piece.text in {"(", "["}
        if index and ("\n" in piece.before or not (is_trailer or piece.text == "." or pieces[index - 1].text == ".")):
            return False
        if not (piece.is_name or is_trailer or (index and piece.text == ".")):
            return False
        index = (closing(pieces, index) if is_trailer else index) + 1
    return bool(pieces)

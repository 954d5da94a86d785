"""Pieces of source keep their white space."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pieces import Piece, arguments, closing, is_primary, join, split, texts

OWN_SOURCES = sorted((Path(__file__).parents[2] / "tools").glob("*.py"))


def without_newline(source: str) -> list[Piece]:
    return [piece for piece in split(source) if piece.text.strip()]


@pytest.mark.parametrize("path", OWN_SOURCES, ids=lambda path: path.name)
def test_splitting_and_joining_gives_the_same_source(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert join(split(source)) == source


@given(st.lists(st.sampled_from(["a", "1", "'ü'", "f'{b}'", "( c,\n\td )", "[\n# why\n]", "...", "é"]), min_size=1))
def test_splitting_and_joining_keeps_any_layout(expressions: list[str]) -> None:
    source = "if x:\n\n  " + "  +  ".join(expressions) + " # end\n"
    assert join(split(source)) == source


def test_a_formatted_string_is_one_piece_on_every_python() -> None:
    assert texts(split("""x = f"a {b!r:>{width}} {f'{c}'}" + d\n""")) == [
        "x",
        "=",
        """f"a {b!r:>{width}} {f'{c}'}\"""",
        "+",
        "d",
        "\n",
    ]


def test_a_closing_bracket_is_found_behind_nested_ones() -> None:
    pieces = split("f(a[(1)], {})\n")
    assert closing(pieces, 1) == len(pieces) - 2


def test_a_bracket_in_a_string_closes_nothing() -> None:
    pieces = split("f(')')\n")
    assert closing(pieces, 1) == 3


def test_a_bracket_that_is_never_closed_is_an_error_with_its_line() -> None:
    with pytest.raises(ValueError, match="line 1: '\\(' is never closed"):
        closing(split("f(a)\n")[:-2], 1)


def test_arguments_are_split_at_their_own_commas_only() -> None:
    parts = arguments(without_newline("a, f(b, c), [d, e][0],"))
    assert [join(part).strip() for part in parts] == ["a", "f(b, c)", "[d, e][0]"]


@pytest.mark.parametrize("source", ["a", "a.b", "a.b(c + d)[e].f", "(a or b)", "a(\n    b\n)"])
def test_a_primary_binds_as_tightly_as_a_name(source: str) -> None:
    assert is_primary(without_newline(source))


@pytest.mark.parametrize("source", ["a or b", "not a", "a + b", "lambda: a", "-a", "a if b else c", ""])
def test_an_expression_with_an_operator_is_not_primary(source: str) -> None:
    assert not is_primary(without_newline(source))


def test_a_primary_over_several_lines_needs_its_parentheses() -> None:
    assert not is_primary(without_newline("(\na\n.b)")[1:-1])

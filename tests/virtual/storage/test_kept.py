from __future__ import annotations

from dulse.model.records import Leased
from dulse.virtual.kept import Kept


def leased(*tokens: int, queue: str = "q") -> list[Leased]:
    return [Leased(token, queue, b"", 1, 0, None) for token in tokens]


def test_nothing_kept_leaves_the_wants_as_they_are() -> None:
    assert Kept().take("owner", [("q", 3), ("q", 2)]) == ([], [], [("q", 3), ("q", 2)])


def test_what_is_kept_is_given_once_and_counts_against_the_wants() -> None:
    kept = Kept()
    kept.add("owner", (leased(1, 2), []))

    assert kept.take("owner", [("q", 5), ("r", 1)]) == (leased(1, 2), [], [("q", 3), ("r", 1)])
    assert kept.take("owner", [("q", 5)]) == ([], [], [("q", 5)])


def test_no_more_is_given_than_wanted_and_the_rest_stays() -> None:
    kept = Kept()
    kept.add("owner", (leased(1, 2, 3) + leased(4, queue="r"), []))

    assert kept.take("owner", [("q", 2)]) == (leased(1, 2), [], [("q", 0)])
    assert kept.take("owner", [("q", 2), ("r", 2)]) == (leased(3) + leased(4, queue="r"), [], [("q", 1), ("r", 1)])


def test_each_owner_gets_his_own() -> None:
    kept = Kept()
    kept.add("one", (leased(1), [7]))

    assert kept.take("two", [("q", 5)])[:2] == ([], [])
    assert kept.take("one", [("q", 5)])[:2] == (leased(1), [7])


def test_lost_tokens_are_told_though_no_record_is_wanted() -> None:
    kept = Kept()
    kept.add("owner", (leased(1), [7]))
    kept.add("owner", ([], [8]))

    assert kept.take("owner", []) == ([], [7, 8], [])
    assert kept.take("owner", [("q", 1)]) == (leased(1), [], [("q", 0)])


def test_older_records_come_first() -> None:
    kept = Kept()
    kept.add("owner", (leased(3), []))
    kept.add("owner", (leased(4), []))
    kept.add("owner", (leased(1, 2), []), older=True)

    assert kept.take("owner", [("q", 9)])[0] == leased(1, 2, 3, 4)


def test_take_all_gives_everything_by_owner() -> None:
    kept = Kept()
    kept.add("one", (leased(1), [9]))
    kept.add("two", (leased(2), []))

    assert kept.take_all() == [("one", leased(1)), ("two", leased(2))]
    assert kept.take_all() == []


def test_an_owner_that_is_dropped_has_nothing_kept() -> None:
    kept = Kept()
    kept.add("owner", (leased(1), []))
    kept.drop("owner")
    kept.drop("never seen")

    assert kept.take("owner", [("q", 9)])[0] == []


def test_the_repr_counts_the_records() -> None:
    kept = Kept()
    kept.add("owner", (leased(1, 2), []))

    assert repr(kept) == "<Kept: 2 records>"

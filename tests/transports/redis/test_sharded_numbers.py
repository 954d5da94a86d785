"""Where shards are and how puts are numbered on each: what all processes have to agree on."""

from __future__ import annotations

import pytest

from dulse.links.redis.slots import SLOTS, slot_of, tagged
from dulse.model.records import Put, Target
from dulse.transports.redis.sharded.numbering import Numbering
from dulse.transports.redis.sharded.places import Places, prefixes, shard_of


def test_the_shard_of_a_queue_never_changes() -> None:
    assert [shard_of(name, 3) for name in ("orders", "mail", "", "Grüße")] == [2, 0, 0, 0]


@pytest.mark.parametrize("prefix", ["", "shop ", "{a}b", "a{b"])
@pytest.mark.parametrize("shards", [2, 3, 16, 64])
def test_each_shard_has_a_slot_in_a_part_of_its_own(prefix: str, shards: int) -> None:
    found = prefixes(prefix, shards)

    assert found[0] == tagged(prefix)
    assert {int(slot_of(each.encode()) / (SLOTS / shards)) for each in found} == set(range(shards))


def test_a_put_that_is_sent_again_has_the_numbers_it_had() -> None:
    numbering = Numbering()

    first = numbering.assign("p", 1, [0, 2])

    assert list(first) == [(0, 1), (2, 1)]
    assert list(numbering.assign("p", 2, [2])) == [(2, 2)]
    assert numbering.assign("p", 1, [1]) == first


def test_a_number_counts_as_written_when_all_of_its_shards_have_it() -> None:
    numbering = Numbering()
    numbering.assign("p", 1, [0, 1])
    numbering.assign("p", 2, [0])

    assert numbering.heard({0: 2, 1: 0}) == 0
    assert numbering.asked() == [0, 1]
    assert numbering.heard({1: 1}) == 2


def test_a_number_that_is_not_the_next_one_is_sent_nowhere() -> None:
    numbering = Numbering()

    assert not numbering.assign("p", 2, [0])


def test_a_shard_that_lost_what_it_had_confirmed_is_told_of() -> None:
    numbering = Numbering()
    for number in (1, 2, 3):
        numbering.assign("p", number, [0])
    assert numbering.heard({0: 2}) == 2

    assert numbering.heard({0: 1}) < 2


def test_what_goes_nowhere_is_checked_where_it_would_be_parked() -> None:
    places = Places(3)

    assert list(places.split([Put(b"1", ())], "mail")) == [shard_of("mail", 3)]


def test_a_message_to_queues_of_one_shard_goes_there_whole() -> None:
    put = Put(b"1", (Target("orders"), Target("letters")))

    assert Places(3).split([put]) == {2: [(0, put)]}

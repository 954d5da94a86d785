"""Our processes and those of the real Kombu 5.7 on one pair of folders, in both directions."""

from __future__ import annotations

from pathlib import Path

import pytest

import dulse
from dulse import errors
from dulse.broker.envelope import unpack
from dulse.links import bell
from dulse.transports.filesystem.kombu_folders import KombuFolders
from dulse.transports.filesystem.mixed import MixedStorage
from tests.transports.filesystem.kombu_fleet import Kombu, declared, drained, files, folders

SHOP = {"exchange": "shop", "key": "new", "queue": "orders"}
MIXED = {"fleet": "mixed"}


def connected(options: dict[str, object]) -> dulse.Connection:
    return dulse.Connection("filesystem://", transport_options=options)


def test_what_kombu_publishes_comes_to_us(tmp_path: Path) -> None:
    options = folders(tmp_path)
    bodies = [{"number": 1, "name": "Käse"}, "text"]
    properties = {"headers": {"deep": {"a": [1, 2]}}, "correlation_id": "c-1", "priority": 3}
    Kombu(options, do="publish", bodies=bodies, properties=properties, **SHOP).end()

    with connected({**options}) as connection:
        queue = declared(connection)
        assert queue(connection.default_channel).queue_declare(passive=True).message_count == 2
        found = drained(connection, [queue], 2)

    assert sorted([body for body, _ in found], key=str) == sorted(bodies, key=str)  # Kombu orders by the millisecond
    assert found[0][1].headers == {"deep": {"a": [1, 2]}}
    assert found[0][1].properties["correlation_id"] == "c-1"
    assert found[0][1].delivery_info["routing_key"] == "new"
    assert files(tmp_path / "data") == []
    assert files(tmp_path / "processed") == []


def test_what_we_publish_in_a_mixed_fleet_comes_to_kombu_in_order(tmp_path: Path) -> None:
    options = folders(tmp_path)
    bodies = [{"number": number} for number in range(20)]
    with connected({**options, **MIXED}) as connection:
        declared(connection)
        for body in bodies[:5]:
            connection.Producer().publish(body, exchange="shop", routing_key="new", headers={"deep": {"a": [1, 2]}})
        connection.Producer().publish_many(bodies[5:], exchange="shop", routing_key="new")

    found = Kombu(options, do="consume", count=20, **SHOP).end()

    assert [each["body"] for each in found] == bodies
    assert found[0]["headers"] == {"deep": {"a": [1, 2]}}


def test_what_is_published_by_another_way_than_is_read_is_for_whoever_reads_there(tmp_path: Path) -> None:
    ours, theirs = folders(tmp_path, "to us", "from us"), folders(tmp_path, "from us", "to us")
    with connected({**ours}) as connection:
        queue = declared(connection)
        connection.Producer().publish("question", exchange="shop", routing_key="new")
        (asked,) = Kombu(theirs, do="consume", **SHOP).end()
        Kombu(theirs, do="publish", bodies=["answer"], **SHOP).end()
        ((answered, _),) = drained(connection, [queue], 1)

        connection.Producer().publish("to another of ours", exchange="shop", routing_key="new")
        with connected({**theirs}) as other:
            ((read, _),) = drained(other, [declared(other)], 1)

    assert (asked["body"], answered, read) == ("question", "answer", "to another of ours")


def test_without_a_mixed_fleet_nothing_is_written_for_kombu(tmp_path: Path) -> None:
    options = folders(tmp_path)
    with connected({**options}) as connection:
        queue = declared(connection)
        connection.Producer().publish("ours", exchange="shop", routing_key="new")

        assert files(tmp_path / "data") == []
        assert [body for body, _ in drained(connection, [queue], 1)] == ["ours"]


def test_processed_files_are_kept_where_that_is_wanted(tmp_path: Path) -> None:
    options = folders(tmp_path)
    Kombu(options, do="publish", bodies=["one", "two"], **SHOP).end()
    names = files(tmp_path / "data")

    with connected({**options, "store_processed": True}) as connection:
        drained(connection, [declared(connection)], 2)

    assert files(tmp_path / "processed") == names


def test_what_only_ours_know_survives_on_the_way_through_the_folder(tmp_path: Path) -> None:
    options = folders(tmp_path)
    with connected({**options, **MIXED}) as connection:
        queue = dulse.Queue("orders", max_priority=9)
        queue(connection.default_channel).declare()
        producer = connection.Producer()
        producer.publish("low", routing_key="orders", priority=1)
        producer.publish("high", routing_key="orders", priority=8)
        producer.publish("over", routing_key="orders", expiration=0)
        producer.publish("later", routing_key="orders", headers={"x-delay": 600_000})

        assert len(files(tmp_path / "data")) == 3
        assert [body for body, _ in drained(connection, [queue], 2)] == ["high", "low"]


def test_a_damaged_file_is_set_aside_and_the_rest_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dulse.transports.filesystem.kombu_folders.PATIENCE", 0.2)
    options = folders(tmp_path)
    data = tmp_path / "data"
    Kombu(options, do="publish", bodies=["one", "two"], **SHOP).end()
    (data / "0_half.orders.msg").write_bytes(b'{"body": "ha')
    (data / "1_empty.orders.msg").write_bytes(b"")
    (data / "2_other.orders.msg").write_bytes(b"[1, 2]")
    (data / "3_folder.orders.msg").mkdir()
    (data / "4_link.orders.msg").symlink_to("/etc/hostname")
    (data / "notes.txt").write_text("mine")

    with connected({**options}) as connection:
        aside = dulse.Queue("dulse.set-aside")
        aside(connection.default_channel).declare()
        found = drained(connection, [declared(connection), aside], 5)

    set_aside = [bytes(message.body) for _, message in found if "x-set-aside-queue" in message.headers]
    assert sorted(body for body, message in found if "x-set-aside-queue" not in message.headers) == ["one", "two"]
    assert sorted(set_aside) == [b"", b"[1, 2]", b'{"body": "ha']
    assert (data / "notes.txt").read_text() == "mine"
    assert files(data) == ["3_folder.orders.msg", "4_link.orders.msg"]


def test_a_file_that_is_being_written_is_waited_for(tmp_path: Path) -> None:
    options = folders(tmp_path)
    Kombu(options, do="publish", bodies=["whole"], **SHOP).end()
    (path,) = (tmp_path / "data").glob("*.msg")
    whole = path.read_bytes()
    path.write_bytes(whole[:50])

    with connected({**options}) as connection:
        queue = declared(connection)
        assert queue(connection.default_channel).get() is None
        path.write_bytes(whole)
        assert [body for body, _ in drained(connection, [queue], 1)] == ["whole"]


def test_a_waiting_process_is_woken_by_the_file_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bell, "LOOK_ANYWAY", 120.0)
    storage = MixedStorage(
        str(tmp_path / "broker"), KombuFolders(str(tmp_path / "in"), str(tmp_path / "in")), writes=False
    )
    storage.open(10)
    publisher = Kombu(folders(tmp_path, "in", "in"), do="publish", bodies=["now"], **SHOP)

    assert storage.wait(["orders"], 100) == ["orders"]

    publisher.end()
    ((leased,), _) = storage.reserve([("orders", 5)], "worker", 60_000)
    assert unpack(leased.payload).body == b"now"
    storage.close(5)


def test_a_mixed_fleet_needs_folders() -> None:
    with pytest.raises(errors.InvalidArgument, match="name them by data_folder_in"):
        dulse.Connection("filesystem:///x", transport_options=MIXED).connect()


def test_a_folder_that_is_none_is_an_argument_error(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidArgument, match="data_folder_in must be the path of a folder, and not 7"):
        connected({"data_folder_in": 7}).connect()

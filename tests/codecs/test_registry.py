"""The registry: names, content types, and what is refused."""

from __future__ import annotations

import pickle as standard_pickle
import socket
import threading
from typing import Any

import pytest

from dulse import errors
from dulse.codecs import SerializerRegistry, json, loads, pickle, prepare_accept_content, registry

PICKLE = pickle.CONTENT_TYPE


def test_bytes_go_out_as_they_are(fresh: SerializerRegistry) -> None:
    assert fresh.dumps(b"\xff") == ("application/data", "binary", b"\xff")


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_what_is_like_bytes_goes_out_as_bytes(fresh: SerializerRegistry, kind: Any) -> None:
    assert fresh.dumps(kind(b"\xff")) == ("application/data", "binary", b"\xff")


def test_text_goes_out_as_plain_text(fresh: SerializerRegistry) -> None:
    assert fresh.dumps("grün") == ("text/plain", "utf-8", "grün".encode())


def test_everything_else_goes_out_by_the_default_serializer(fresh: SerializerRegistry) -> None:
    assert fresh.dumps({"a": 1}) == ("application/json", "utf-8", '{"a": 1}')


def test_a_named_serializer_is_used_for_text_and_bytes_too(fresh: SerializerRegistry) -> None:
    assert fresh.dumps("a", "json") == ("application/json", "utf-8", '"a"')


@pytest.mark.parametrize(
    ("data", "encoding"),
    [(b"a", "binary"), (bytearray(b"a"), "binary"), ("a", "utf-8")],
    ids=["bytes", "bytearray", "str"],
)
def test_raw_says_whether_it_was_text(data: Any, encoding: str) -> None:
    assert registry.dumps(data, "raw") == ("application/data", encoding, b"a")


@pytest.mark.parametrize(
    ("serializer", "data"), [("raw", {"a": 1}), ("text", b"a"), ("text", 5), ("text", "\ud800"), (None, "\ud800")]
)
def test_raw_and_text_refuse_what_they_cannot_write(serializer: str | None, data: Any) -> None:
    with pytest.raises(errors.EncodeError):
        registry.dumps(data, serializer)


def test_the_default_serializer_can_be_chosen(fresh: SerializerRegistry) -> None:
    fresh._set_default_serializer("pickle")

    assert fresh.dumps({"a": 1})[0] == PICKLE


def test_a_default_that_is_registered_again_is_the_new_one(fresh: SerializerRegistry) -> None:
    fresh.register("json", lambda _: "new", json.loads, "application/json")

    assert fresh.dumps({})[2] == "new"


def test_a_registered_serializer_makes_the_round_trip(fresh: SerializerRegistry) -> None:
    fresh.register("hex", lambda data: data.hex(), bytes.fromhex, "application/x-hex", "us-ascii")

    content_type, encoding, payload = fresh.dumps(b"\xff", "hex")

    assert (content_type, encoding, payload) == ("application/x-hex", "us-ascii", "ff")
    assert fresh.loads(payload, content_type, encoding) == b"\xff"


def test_celery_finds_the_encoder_with_its_type_and_encoding(fresh: SerializerRegistry) -> None:
    content_type, content_encoding, encoder = fresh._encoders["json"]

    assert (content_type, content_encoding, encoder([1])) == ("application/json", "utf-8", "[1]")


def test_names_and_types_are_found_from_each_other(fresh: SerializerRegistry) -> None:
    assert fresh.name_to_type["pickle"] == PICKLE
    assert fresh.type_to_name[PICKLE] == "pickle"


def test_an_unregistered_serializer_is_gone(fresh: SerializerRegistry) -> None:
    fresh.unregister("pickle")

    with pytest.raises(errors.SerializerNotInstalled, match="'pickle'"):
        fresh.dumps({}, "pickle")
    assert PICKLE not in fresh.type_to_name


@pytest.mark.parametrize("act", ["unregister", "enable", "disable", "_set_default_serializer", "content_type_of"])
def test_an_unknown_name_is_an_error_that_tells_the_known_ones(fresh: SerializerRegistry, act: str) -> None:
    with pytest.raises(errors.SerializerNotInstalled, match="'jsno': there are json, pickle"):
        getattr(fresh, act)("jsno")


def test_a_serializer_without_an_encoder_only_reads(fresh: SerializerRegistry) -> None:
    fresh.register("old", None, bytes.decode, "application/x-old")

    assert fresh.loads(b"a", "application/x-old", None) == "a"
    with pytest.raises(errors.SerializerNotInstalled, match="only reads"):
        fresh.dumps("a", "old")


def test_the_condition_of_a_registry_can_be_printed(fresh: SerializerRegistry) -> None:
    assert repr(fresh) == "<SerializerRegistry of json, pickle (disabled); default 'json'>"


@pytest.mark.parametrize(
    "accept", [{"application/json"}, ["json"], ("json", "pickle"), {"json": 1}, frozenset({"json"})]
)
def test_accept_takes_names_and_content_types(fresh: SerializerRegistry, accept: Any) -> None:
    assert fresh.loads(b"[1]", "application/json", "utf-8", accept) == [1]


@pytest.mark.parametrize("accept", [set(), ["pickle"], {"application/x-json"}, {"application"}])
def test_what_is_not_accepted_is_refused_and_named(fresh: SerializerRegistry, accept: Any) -> None:
    with pytest.raises(errors.ContentDisallowed, match=r"'application/json' \(json\)"):
        fresh.loads(b"[1]", "application/json", "utf-8", accept)


@pytest.mark.parametrize("accept", [None, [], {"json"}])
def test_bytes_are_accepted_always(fresh: SerializerRegistry, accept: Any) -> None:
    assert fresh.loads(b"\xff", "application/data", "binary", accept) == b"\xff"


def test_plain_text_must_be_accepted_like_any_type() -> None:
    with pytest.raises(errors.ContentDisallowed):
        loads(b"a", "text/plain", "utf-8", ["json"])
    assert loads(b"a", "text/plain", "utf-8", ["text"]) == "a"


def test_a_text_in_place_of_a_list_is_a_mistake(fresh: SerializerRegistry) -> None:
    with pytest.raises(errors.InvalidArgument, match="list of names"):
        fresh.loads(b"[1]", "application/json", "utf-8", "json")
    with pytest.raises(errors.InvalidArgument, match="list of names"):
        prepare_accept_content("json")


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON", b"application/json"])
def test_parameters_and_case_of_a_content_type_do_not_matter(fresh: SerializerRegistry, content_type: Any) -> None:
    assert fresh.loads(b"[1]", content_type, "utf-8", ["json"]) == [1]


def test_a_disguised_content_type_is_refused_all_the_same(fresh: SerializerRegistry) -> None:
    body = standard_pickle.dumps([1])

    with pytest.raises(errors.ContentDisallowed):
        fresh.loads(body, "APPLICATION/X-PYTHON-SERIALIZE; a=b", "binary")


def test_a_content_type_that_is_no_text_is_a_decode_error(fresh: SerializerRegistry) -> None:
    with pytest.raises(errors.DecodeError, match="'list'"):
        fresh.loads(b"[1]", ["application/json"], "utf-8")  # type: ignore[arg-type]  # a peer may send what it likes


@pytest.mark.parametrize(
    ("enabled", "accept", "is_read"),
    [
        (False, None, False),
        (False, {PICKLE}, False),
        (False, ["pickle"], False),
        (True, None, True),
        (True, ["json"], False),
        (True, ["pickle"], True),
    ],
)
def test_pickle_is_read_only_where_it_is_enabled_and_accepted(
    fresh: SerializerRegistry, enabled: bool, accept: Any, is_read: bool
) -> None:
    if enabled:
        fresh.enable("pickle")

    if is_read:
        assert fresh.loads(standard_pickle.dumps([1]), PICKLE, "binary", accept) == [1]
    else:
        with pytest.raises(errors.ContentDisallowed, match="pickle"):
            fresh.loads(standard_pickle.dumps([1]), PICKLE, "binary", accept)


def test_a_disabled_one_that_is_not_dangerous_is_read_where_it_is_accepted(fresh: SerializerRegistry) -> None:
    fresh.disable("json")

    assert fresh.loads(b"[1]", "application/json", "utf-8", ["json"]) == [1]
    with pytest.raises(errors.ContentDisallowed, match="disabled"):
        fresh.loads(b"[1]", "application/json", "utf-8")


def test_force_reads_a_disabled_one(fresh: SerializerRegistry) -> None:
    fresh.disable("json")

    assert fresh.loads(b"[1]", "application/json", "utf-8", force=True) == [1]


def test_the_process_begins_with_json_and_text_alone() -> None:
    refused = {name for name in registry.name_to_type if registry.name_to_type[name] in registry._disabled}

    assert refused == {"pickle", "yaml", "msgpack"}


def test_accept_is_prepared_from_names_and_types() -> None:
    assert prepare_accept_content(["json", "text/csv"]) == {"application/json", "text/csv"}
    assert prepare_accept_content(["mine"], {"mine": "application/x-mine"}) == {"application/x-mine"}
    assert prepare_accept_content(None) is None


def test_an_unknown_name_cannot_be_accepted() -> None:
    with pytest.raises(errors.SerializerNotInstalled, match="'jsno'"):
        prepare_accept_content(["jsno"])


def test_what_a_signal_raises_inside_an_encoder_stays_what_it_is(fresh: SerializerRegistry) -> None:
    class TimeIsUp(Exception):
        pass

    signals = [TimeIsUp()]

    def write(data: object) -> str:
        if signals:
            raise signals.pop()
        return str(data)

    fresh.register("slow", write, None, "application/x-slow")
    with pytest.raises(TimeIsUp):
        fresh.dumps(1, "slow")


def test_what_an_encoder_raises_is_an_encode_error_with_its_cause(fresh: SerializerRegistry) -> None:
    fresh.register("bad", lambda _: str(1 // 0), None, "application/x-bad")

    with pytest.raises(errors.EncodeError, match=r"application/x-bad.*ZeroDivisionError") as caught:
        fresh.dumps([1], "bad")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_what_a_decoder_raises_is_a_decode_error_with_its_cause(fresh: SerializerRegistry) -> None:
    fresh.register("bad", None, lambda _: 1 // 0, "application/x-bad")

    with pytest.raises(errors.DecodeError, match="length 3 as application/x-bad: ZeroDivisionError"):
        fresh.loads(b"abc", "application/x-bad", None)


def test_a_decoder_may_raise_our_errors_in_its_own_words(fresh: SerializerRegistry) -> None:
    def decoder(_: bytes) -> Any:
        raise errors.DecodeError("the signature is wrong")

    fresh.register("signed", None, decoder, "application/x-signed")

    with pytest.raises(errors.DecodeError, match=r"^the signature is wrong$"):
        fresh.loads(b"abc", "application/x-signed", None)


def test_a_decoder_is_given_bytes_for_a_view(fresh: SerializerRegistry) -> None:
    fresh.register("kind", None, type, "application/x-kind")

    assert fresh.loads(memoryview(b"a"), "application/x-kind", None) is bytes


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        ({"orders": [0, 1, 2, {"customer": socket.socket}]}, r"\$\.orders\[3\]\.customer: object of type 'type'"),
        ([threading.Lock()], r"\$\[0\]: object of type 'lock'"),
        (object(), r"\$: object of type 'object'"),
        ({"a b": ({"c"},)}, r"\$\['a b'\]\[0\]: object of type 'set'"),
        ({"keys": {(1, 2): 3}}, r"\$\.keys: object of type 'dict' \(TypeError: keys must be"),
    ],
)
def test_a_value_that_cannot_be_written_is_named_by_its_path(
    fresh: SerializerRegistry, payload: Any, path: str
) -> None:
    with pytest.raises(errors.EncodeError, match=path):
        fresh.dumps(payload)


def test_a_circle_is_named_by_both_its_ends(fresh: SerializerRegistry) -> None:
    node: dict[str, Any] = {"name": "a"}
    node["children"] = [{"parent": node}]

    with pytest.raises(
        errors.EncodeError, match=r"\$\.tree\.children\[0\]\.parent: a circular reference back to \$\.tree$"
    ):
        fresh.dumps({"tree": node})


def test_nesting_without_end_is_an_encode_error(fresh: SerializerRegistry) -> None:
    payload: list[Any] = []
    for _ in range(100_000):
        payload = [payload]

    with pytest.raises(errors.EncodeError, match=r"\$\[0\]\[0\].*nested too deeply"):
        fresh.dumps(payload)


def test_several_threads_may_write_and_read_at_once() -> None:
    shared = {"numbers": list(range(200))}
    wrong: list[object] = []

    def work() -> None:
        for _ in range(200):
            content_type, encoding, payload = registry.dumps(shared)
            if loads(payload, content_type, encoding) != shared:
                wrong.append(payload)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []

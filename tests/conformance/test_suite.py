"""The conformance suite itself: what it lists, how it says what is missing, and that it ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest

from dulse import errors
from dulse.model.capabilities import Capabilities
from dulse.testing.conformance import FORMS, REQUIREMENTS, Verdict, case, cases, promises
from dulse.testing.conformance.requirements import missing
from dulse.testing.conformance.sync import refusals
from dulse.testing.conformance.sync.broker import Broker
from dulse.testing.conformance.time_limit import Overdue, time_limit
from dulse.transports.memory import MemoryStorage, forget_store


@pytest.fixture
def url() -> Iterator[str]:
    name = uuid4().hex
    yield f"memory://{name}"
    forget_store(name)


def test_both_forms_have_the_same_cases_with_the_same_sentences() -> None:
    sync, aio = [{case.name: (case.sentence, case.requires, case.slow) for case in cases(form)} for form in FORMS]
    assert sync == aio


def test_there_are_as_many_behaviours_as_promised() -> None:
    sentences = [case.sentence for case in cases("sync")]
    assert len(set(sentences)) == len(sentences) >= 130


def test_every_promise_is_summed_up_in_a_sentence() -> None:
    assert [name for name, sentence in promises("sync").items() if not sentence.endswith(".")] == []


def test_every_requirement_is_asked_for_by_a_case_and_its_refusal_exists() -> None:
    asked = {name for case in cases("sync") for name in case.requires}
    refused = {each.refusal for each in REQUIREMENTS.values() if each.refusal}
    assert asked == REQUIREMENTS.keys()
    assert [name for name in refused if not hasattr(refusals, name)] == []


def test_a_case_that_is_kept_says_so(url: str) -> None:
    @case("nothing is asked")
    def nothing(broker: Broker) -> None:
        assert broker.capabilities

    assert nothing.run(url).verdict is Verdict.KEPT


def test_a_case_that_is_not_kept_raises(url: str) -> None:
    @case("this cannot be")
    def impossible(broker: Broker) -> None:
        raise AssertionError

    with pytest.raises(AssertionError):
        impossible.run(url)


def test_a_case_deletes_what_it_made_though_it_fails(url: str) -> None:
    made: list[str] = []

    @case("this cannot be")
    def impossible(broker: Broker) -> None:
        made.extend([broker.queue().name, broker.exchange().name])
        raise AssertionError

    with pytest.raises(AssertionError):
        impossible.run(url)
    with Broker(url, {}) as broker:
        with pytest.raises(errors.NotFound):
            broker.main.channel().queue_declare(made[0], passive=True)
        with pytest.raises(errors.NotFound):
            broker.main.channel().exchange_declare(made[1], passive=True)


def test_what_is_not_declared_and_cannot_be_refused_is_left_out_with_the_reason(url: str) -> None:
    outcome = next(each for each in cases("sync") if "processes" in each.requires).run(url)
    assert outcome.verdict is Verdict.LEFT_OUT
    assert outcome.reason == REQUIREMENTS["processes"].meaning


def test_what_is_not_declared_must_be_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryStorage, "capabilities", Capabilities(objects=True, priorities=0, leases="process"))
    needy = next(each for each in cases("sync") if "priorities" in each.requires)
    assert needy.run(url).verdict is Verdict.REFUSED

    def take_it_all_the_same(*_given: Any, **_options: Any) -> None:
        """Refuse nothing."""

    monkeypatch.setattr("dulse.testing.conformance.sync.broker.Broker.queue", take_it_all_the_same)
    with pytest.raises(AssertionError, match="no NotSupported was raised"):
        needy.run(url)


def test_a_requirement_is_met_by_what_the_transport_declares() -> None:
    rich = Capabilities()
    poor = Capabilities(exchange_types=frozenset({"direct"}), priorities=0, max_delay=0, shared=False)
    assert [name for name in REQUIREMENTS if missing((name,), rich)] == []
    assert [name for name in REQUIREMENTS if missing((name,), poor)] == [
        "topic",
        "fanout",
        "headers",
        "priorities",
        "delay",
        "processes",
    ]


def test_a_requirement_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match="no requirement 'magic'"):
        case("a wonder", requires=("magic",))


def test_a_block_that_takes_too_long_is_ended_though_it_catches_every_exception() -> None:
    def sleep_whatever_comes() -> None:
        while True:
            with suppress(Exception):
                time.sleep(10)

    began = time.monotonic()
    with pytest.raises(Overdue, match="sleeping did not end within"), time_limit(0.05, "sleeping"):
        sleep_whatever_comes()
    assert time.monotonic() - began < 5

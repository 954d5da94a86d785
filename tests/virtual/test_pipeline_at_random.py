"""Publishing on a store that answers later, with faults at random: each message is there once and in its order."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dulse import errors
from dulse.virtual.sync import pipeline as pipelines
from tests.virtual.late import late
from tests.virtual.test_pipeline import bodies, opened, rest

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(1, 15)),
        st.tuples(st.just("swallow"), st.integers(1, 12)),
        st.tuples(st.just("refuse"), st.integers(1, 3)),
        st.tuples(st.sampled_from(["cut", "mend", "fill", "empty", "flush"]), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_happens_on_the_way_each_message_is_there_once_and_in_order(
    steps: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipelines, "WINDOW_PUTS", 8)
    monkeypatch.setattr(pipelines, "FIRST_PAUSE", 0.001)
    accepted: list[bytes] = []
    in_doubt: set[bytes] = set()
    refused: list[bytes] = []
    with late(on_unconfirmed=lambda message, _: refused.append(message.body)) as transport:
        channel, store = opened(transport)
        rest(transport)
        count = 0
        for step, number in steps:
            if step == "publish":
                for _ in range(number):
                    count += 1
                    body = b"%d" % count
                    try:
                        channel.publish(body, {}, "", "q", timeout=0.005)
                    except errors.OperationalError:
                        in_doubt.add(body)
                    else:
                        accepted.append(body)
            elif step == "swallow":
                store.swallows = number
            elif step == "refuse":
                store.poison = b"%d" % (count + number)
            elif step == "flush":
                with suppress(errors.OperationalError, errors.ContentTooLarge):
                    transport.flush(0.005)
            else:
                store.is_cut = {"cut": True, "mend": False}.get(step, store.is_cut)
                store.full = {"fill": True, "empty": False}.get(step, store.full)
        store.is_cut = store.full = False
        store.swallows = 0
        with suppress(errors.ContentTooLarge):
            transport.flush(5)
        stored = bodies(channel)

    assert [body for body in stored if body not in in_doubt] == [body for body in accepted if body not in refused]
    assert len(set(stored)) == len(stored)

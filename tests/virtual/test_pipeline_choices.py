"""What is published without waiting for an answer on a store that answers later, and what is not."""

from __future__ import annotations

import pytest

from dulse.model.commands import DeclareQueue
from dulse.model.message import Outgoing
from tests.virtual.late import late
from tests.virtual.test_pipeline import bodies, numbered, opened, publish, rest


@pytest.mark.parametrize("how", ["mandatory", "limited", "waits"])
def test_what_the_answer_matters_for_is_waited_for(how: str) -> None:
    with late(waits_for_answers=how == "waits") as transport:
        channel, store = opened(transport)
        channel.execute(DeclareQueue("short", arguments={"x-max-length": 1}))
        store.calls.clear()
        queue = "short" if how == "limited" else "q"
        channel.publish(b"1", {}, "", queue, mandatory=how == "mandatory")

        assert "put" in store.calls
        assert "send" not in store.calls


def test_many_messages_are_one_put() -> None:
    with late() as transport:
        channel, store = opened(transport)
        rest(transport)
        store.calls.clear()
        channel.publish_many([Outgoing(body, {}, "", "q") for body in numbered(1, 50)])

        assert store.calls == ["send"]
        assert bodies(channel) == numbered(1, 50)


def test_a_forked_child_leaves_what_was_sent_to_its_parent() -> None:
    with late() as transport:
        channel, store = opened(transport)
        rest(transport)
        store.full = True
        publish(channel, 1, 2)
        pipeline = transport.dispatch.pipeline
        assert pipeline is not None
        assert pipeline.unanswered == 2
        pipeline.discard()

        assert repr(pipeline).endswith("0 puts unanswered, 0 answered>")

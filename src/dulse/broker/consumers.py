"""Consumers of queues: who may be one, who is given the messages, and what goes with the last of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dulse.broker import refusals
from dulse.broker.arguments import check_consumer_arguments
from dulse.broker.catalogue import (
    DEFINED,
    Decision,
    Draft,
    View,
    consumers_group,
    expiry_group,
    owner_group,
    queue_group,
)
from dulse.broker.definitions import (
    PRESENT,
    ConsumerEntry,
    consumer_field,
    consumers,
    held_consumer_field,
    read_queue,
    write_consumer,
)
from dulse.broker.queues import check_access, touch
from dulse.broker.removal import remove_queue
from dulse.broker.rules import QueueRules
from dulse.model.names import check_name

_METHOD = "Basic.consume"


def decide_consume(
    view: View,
    queue: str,
    consumer_tag: str,
    owner: str,
    exclusive: bool,
    arguments: Mapping[str, Any],
) -> Decision:
    """Add a consumer. Reply: the queue's rules.

    The tag must be new for this owner and queue (name the channel in it: AMQP's tags are a channel's own).
    It comes after all consumers that the queue has. 403: the queue has an exclusive consumer, or has consumers and this
    one is to be exclusive, or it has a single active consumer and so no exclusive one. 404, 405 as always; 406: a bad
    x-priority; 530: the tag is in use.
    """
    check_name("consumer tag", consumer_tag)
    # The expiry group is read for whoever carries this out: an overdue queue is to be deleted before it is consumed.
    view.require((consumers_group(queue), owner_group(owner), expiry_group(queue)), {queue_group(queue): DEFINED})
    rules = check_access(view, queue, owner, _METHOD)
    priority = check_consumer_arguments(queue, arguments, _METHOD)
    group = consumers_group(queue)
    others = consumers(view.group(group).values)
    _check_admission(queue, others, rules, exclusive=exclusive)
    field = consumer_field(owner, consumer_tag)
    if field in view.group(group).values:
        text = (
            f"the consumer tag {consumer_tag!r} is in use on queue {queue!r}: cancel that consumer or take another tag"
        )
        raise refusals.not_allowed(text, _METHOD)
    draft = Draft(view)
    order = 1 + max((other.order for other in others), default=0)
    consumer = ConsumerEntry(owner, consumer_tag, exclusive, priority, order)
    draft.write(group, field, write_consumer(consumer))
    draft.write(owner_group(owner), held_consumer_field(queue, consumer_tag), PRESENT)
    return draft.decision(rules)


def decide_cancel(view: View, queue: str, consumer_tag: str, owner: str) -> Decision:
    """End a consumer; one that is not there is no error. Reply: whether an auto-delete queue went with the last one."""
    view.require((consumers_group(queue), owner_group(owner), expiry_group(queue)), {queue_group(queue): DEFINED})
    draft = Draft(view)
    deleted = end_consumer(draft, queue, consumer_tag, owner)
    return draft.decision(deleted)


def end_consumer(draft: Draft, queue: str, consumer_tag: str, owner: str) -> bool:
    """Take a consumer away, and an auto-delete queue with the last one; tell whether that happened."""
    group = consumers_group(queue)
    draft.delete(owner_group(owner), held_consumer_field(queue, consumer_tag))
    if not draft.delete(group, consumer_field(owner, consumer_tag)) or draft.values(group):
        return False
    definition = read_queue(draft.view.part(queue_group(queue)).values)
    if definition is not None and definition.auto_delete:
        remove_queue(draft, queue)
        return True
    touch(draft, queue)
    return False


def active_consumer(view: View, queue: str) -> ConsumerEntry | None:
    """Give the one that is served where a queue has a single active consumer: highest priority, then the first."""
    found = consumers(view.group(consumers_group(queue)).values)
    return min(found, key=lambda consumer: (-consumer.priority, consumer.order, consumer), default=None)


def _check_admission(queue: str, present: list[ConsumerEntry], rules: QueueRules, *, exclusive: bool) -> None:
    if any(consumer.exclusive for consumer in present):
        raise refusals.access_refused(f"the queue {queue!r} has an exclusive consumer", _METHOD)
    if exclusive and present:
        text = f"the queue {queue!r} has {len(present)} consumers, so none of them can be exclusive"
        raise refusals.access_refused(text, _METHOD)
    if exclusive and rules.single_active_consumer:
        text = f"the queue {queue!r} has a single active consumer (x-single-active-consumer), so none can be exclusive"
        raise refusals.access_refused(text, _METHOD)

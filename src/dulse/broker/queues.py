"""Declaring, deleting and using queues (AMQP 0-9-1 §3.1.4 and the rules of RabbitMQ)."""

from __future__ import annotations

from typing import NamedTuple

from dulse.broker import refusals
from dulse.broker.arguments import (
    QUEUE_ARGUMENTS,
    assert_same,
    assert_same_arguments,
    check_queue_arguments,
)
from dulse.broker.catalogue import (
    DEFINED,
    DEFINITION,
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
    QueueDefinition,
    held_queue_field,
    read_queue,
    write_queue,
)
from dulse.broker.removal import remove_queue
from dulse.broker.rules import QueueRules
from dulse.model.commands import DeclareQueue, DeleteQueue, PurgeQueue, QueueDeclared
from dulse.model.names import check_name

_DECLARE = "Queue.declare"
_DELETE = "Queue.delete"


class Expiry(NamedTuple):
    """The reply to a question for expiry."""

    deleted: bool
    due_ms: int | None
    """Milliseconds until asking again makes sense; None: not before the queue is used (or declared) again."""


def declare_queue(command: DeclareQueue, view: View, owner: str, unique: str) -> Decision:
    """Make a queue, or check that it is there (passive) or the same. Reply: QueueDeclared.

    A queue without a name gets `amq.gen-` and `unique`.
    """
    name = check_name("queue name", command.queue) or f"amq.gen-{unique}"
    held = (owner_group(owner),) if command.exclusive else ()
    view.require((consumers_group(name), expiry_group(name), *held), {queue_group(name): DEFINED})
    if command.passive:
        check_access(view, name, owner, _DECLARE)
        return _used(view, name)
    if command.queue.startswith("amq."):
        text = f"the queue name {name!r} has the prefix 'amq.', which is reserved for names that the broker gives"
        raise refusals.access_refused(text, _DECLARE)
    check_queue_arguments(name, command.arguments, _DECLARE)
    existing = read_queue(view.part(queue_group(name)).values)
    if existing is not None:
        _assert_equivalent(name, existing, command, owner)
        return _used(view, name)
    return _create(name, command, view, owner)


def delete_queue(command: DeleteQueue, view: View, owner: str, _unique: str) -> Decision:
    """Delete a queue; one that is not there is no error. Reply: the number of its ready messages."""
    name = check_name("queue name", command.queue)
    view.require((queue_group(name), consumers_group(name), expiry_group(name)))
    if read_queue(view.group(queue_group(name)).values) is None:
        return Decision(None, 0)
    check_access(view, name, owner, _DELETE)
    ready = view.depth(name).ready
    if command.if_empty and ready:
        text = f"the queue {name!r} is not empty: it holds {ready} messages, and if_empty was asked for"
        raise refusals.precondition_failed(text, _DELETE)
    if command.if_unused and consumer_count(view, name):
        text = (
            f"the queue {name!r} is in use: it has {consumer_count(view, name)} consumers, and if_unused was asked for"
        )
        raise refusals.precondition_failed(text, _DELETE)
    draft = Draft(view)
    remove_queue(draft, name)
    return draft.decision(ready, only_empty=command.if_empty)


def purge_queue(command: PurgeQueue, view: View, owner: str, _unique: str) -> Decision:
    """Check that a queue may be purged. Reply: its name; who carries out the decision purges it and counts."""
    name = check_name("queue name", command.queue)
    check_access(view, name, owner, "Queue.purge")
    return Decision(None, name)


def check_access(view: View, queue: str, owner: str, method: str) -> QueueRules:
    """Raise NotFound (404) or ResourceLocked (405: exclusive to somebody else) unless `owner` may use this queue."""
    definition = read_queue(view.part(queue_group(queue)).values)
    if definition is None:
        raise refusals.not_found("queue", queue, method)
    if definition.exclusive and definition.owner != owner:
        raise refusals.locked(queue, method)
    return definition.rules


def consumer_count(view: View, queue: str) -> int:
    """Give the number of consumers of a queue."""
    return len(view.group(consumers_group(queue)).values)


def decide_touch(view: View, queue: str) -> Decision:
    """Note that a queue is used now, so that its x-expires begins anew; a queue without it needs no change."""
    draft = Draft(view)
    touch(draft, queue)
    return draft.decision()


def touch(draft: Draft, queue: str) -> None:
    """Write the expiry group of a queue, if it has one, so that its age begins anew."""
    group = expiry_group(queue)
    text = draft.values(group).get(DEFINITION)
    if text is not None:
        draft.write(group, DEFINITION, text)


def decide_expiry(view: View, queue: str) -> Decision:
    """Delete a queue that was not consumed from, got from or declared for its x-expires. Reply: Expiry."""
    group = expiry_group(queue)
    view.require((group, consumers_group(queue)))
    values, age_ms = view.group(group).values, view.group(group).age_ms
    if DEFINITION not in values or consumer_count(view, queue):
        return Decision(None, Expiry(deleted=False, due_ms=None))
    left_ms = int(values[DEFINITION]) - age_ms
    if left_ms > 0:
        return Decision(None, Expiry(deleted=False, due_ms=left_ms))
    draft = Draft(view)
    remove_queue(draft, queue)
    return draft.decision(Expiry(deleted=True, due_ms=None))


def _create(name: str, command: DeclareQueue, view: View, owner: str) -> Decision:
    definition = QueueDefinition(
        durable=command.durable and not command.exclusive,
        exclusive=command.exclusive,
        auto_delete=command.auto_delete,
        arguments=dict(command.arguments),
        owner=owner if command.exclusive else "",
    )
    draft = Draft(view)
    draft.write(queue_group(name), DEFINITION, write_queue(definition))
    if command.exclusive:
        draft.write(owner_group(owner), held_queue_field(name), PRESENT)
    expires_ms = QueueRules.of(command.arguments).expires_ms
    if expires_ms is not None:
        draft.write(expiry_group(name), DEFINITION, str(expires_ms))
    return draft.decision(QueueDeclared(name, 0, 0))


def _used(view: View, name: str) -> Decision:
    """Answer for a queue that was there; declaring counts as use."""
    reply = QueueDeclared(name, view.depth(name).ready, consumer_count(view, name))
    return Decision(decide_touch(view, name).change, reply)


def _assert_equivalent(name: str, existing: QueueDefinition, command: DeclareQueue, owner: str) -> None:
    if existing.exclusive != command.exclusive or (existing.exclusive and existing.owner != owner):
        raise refusals.locked(name, _DECLARE)
    subject = f"queue {name!r}"
    durable = command.durable and not command.exclusive  # an exclusive queue ends with its connection anyway
    assert_same(subject, "durable", existing.durable, durable, _DECLARE)
    assert_same(subject, "auto_delete", existing.auto_delete, command.auto_delete, _DECLARE)
    assert_same_arguments(subject, QUEUE_ARGUMENTS, existing.arguments, command.arguments, _DECLARE)

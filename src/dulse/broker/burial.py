"""What ends with an owner that died: its consumers, its exclusive queues, and queues that delete themselves."""

from __future__ import annotations

from dulse.broker.catalogue import Decision, Draft, View, consumers_group, expiry_group, owner_group, queue_group
from dulse.broker.consumers import end_consumer
from dulse.broker.definitions import held_consumers, held_queues, read_queue
from dulse.broker.removal import remove_queue


def decide_burial(view: View, owner: str) -> Decision:
    """End all that an owner consumes and holds, and its group with it. Reply: the names of the deleted queues.

    It costs what the owner held. Do this first and `forget` the owner then: killed in between, the store still names it
    among the dead, and doing it again changes nothing. An owner that closes is buried likewise.
    """
    group = owner_group(owner)
    values = view.group(group).values
    consumed, held = held_consumers(values), held_queues(values)
    queues = dict.fromkeys([*held, *(queue for queue, _ in consumed)])
    view.require(name(queue) for queue in queues for name in (queue_group, consumers_group, expiry_group))
    draft = Draft(view)
    deleted = [queue for queue in held if _end_queue(draft, queue, owner)]
    deleted += [queue for queue, tag in consumed if end_consumer(draft, queue, tag, owner)]
    draft.clear(group)
    return draft.decision(tuple(deleted))


def _end_queue(draft: Draft, queue: str, owner: str) -> bool:
    definition = read_queue(draft.values(queue_group(queue)))
    if definition is None or not definition.exclusive or definition.owner != owner:
        return False
    remove_queue(draft, queue)
    return True

"""What both AMQP links say where a message that is to be delivered later cannot be taken."""

from __future__ import annotations

from dulse import errors
from dulse.amqp.delays import PREFIX


def not_postponed(problem: Exception) -> Exception:
    """Build the error for a ladder of which the broker refused a part; that of an unknown exchange stays as it is."""
    if not isinstance(problem, errors.ChannelError) or isinstance(problem, errors.NotFound):
        return problem
    text = (
        f"{problem.text}: a message with a delay waits in exchanges and queues of dulse's own, {PREFIX}*, which were "
        f"to be declared; let this user configure, write and read ^{PREFIX.replace('.', '[.]')}, and write to the "
        "exchange that is meant, and delete what others have declared by these names"
    )
    return errors.make(type(problem), text, code=problem.code, method=problem.method)

"""Who came in between: a signal's handler that ran in the midst of our work, and raised."""

from __future__ import annotations

import traceback

__all__ = ["came_in_between"]

OURS = __name__.partition(".")[0]


def came_in_between(error: BaseException) -> bool:
    """Tell whether an exception, which is caught now, passed code that is not ours on its way here.

    What a signal's handler raises has passed the handler, whatever it had called.
    """
    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_globals.get("__name__", "").partition(".")[0] != OURS for frame, _ in frames)

"""How the broker words what it refuses, with the codes of AMQP 0-9-1 §1.1."""

from __future__ import annotations

from dulse import errors


def not_found(kind: str, name: str, method: str) -> Exception:
    """Say that there is no such exchange or queue (404)."""
    text = f"NOT_FOUND - there is no {kind} {name!r}; declare it first"
    return errors.make(errors.NotFound, text, code=404, method=method)


def locked(queue: str, method: str) -> Exception:
    """Refuse what is exclusive to somebody else, or not exclusive as asked (405)."""
    text = (
        f"RESOURCE_LOCKED - no access to the locked queue {queue!r}: it is exclusive to another connection, "
        "or was declared with another value of exclusive"
    )
    return errors.make(errors.ResourceLocked, text, code=405, method=method)


def access_refused(text: str, method: str) -> Exception:
    """Refuse what is not allowed on that thing (403)."""
    return errors.make(errors.AccessRefused, f"ACCESS_REFUSED - {text}", code=403, method=method)


def precondition_failed(text: str, method: str) -> Exception:
    """Refuse what exists with other properties, or what its state does not allow (406)."""
    return errors.make(errors.PreconditionFailed, f"PRECONDITION_FAILED - {text}", code=406, method=method)


def command_invalid(text: str, method: str) -> Exception:
    """Refuse what makes no sense to the broker (503)."""
    return errors.make(errors.CommandInvalid, f"COMMAND_INVALID - {text}", code=503, method=method)


def not_allowed(text: str, method: str) -> Exception:
    """Refuse what a rule forbids (530)."""
    return errors.make(errors.NotAllowed, f"NOT_ALLOWED - {text}", code=530, method=method)

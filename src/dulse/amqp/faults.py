"""What is raised for a peer that breaks the protocol, and for a caller's value that no frame can carry."""

from __future__ import annotations

from dulse import errors


def violation(text: str, code: int = 502) -> Exception:
    """Build the ProtocolError for what the peer sent; `code` is the reply code of AMQP 0-9-1 §1.2 to close with."""
    return errors.make(errors.ProtocolError, f"the peer broke AMQP 0-9-1 ({code}): {text}")


def unwritable(text: str) -> Exception:
    """Build the EncodeError for a value of the caller's."""
    return errors.make(errors.EncodeError, text)


def misuse(text: str) -> Exception:
    """Build the InvalidArgument for a call that makes no sense now; nothing was done."""
    return errors.make(errors.InvalidArgument, text)

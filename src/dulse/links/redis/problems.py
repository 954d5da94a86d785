"""The one place where Redis' errors become errors of dulse."""

from __future__ import annotations

import re
from typing import Final

from dulse import errors
from dulse.links.redis.resp import ErrorReply

Kind = tuple[type[errors.DulseError], str]

_BUSY: Final = errors.StorageBusy
_DENIED: Final = errors.AuthenticationFailed

_CODES: Final[dict[str, Kind]] = {
    "OOM": (
        errors.StorageFull,
        "{place} has used up its maxmemory; nothing was written: consume what waits, or raise maxmemory",
    ),
    "MISCONF": (
        errors.StorageFull,
        "{place} cannot save to its disk and takes no writes; nothing was written: free some space there ({text})",
    ),
    "READONLY": (
        errors.StorageReadOnly,
        "{place} is a replica, which can only be read; nothing was written: name the master, or use sentinel://",
    ),
    "NOREPLICAS": (
        errors.StorageError,
        "{place} has too few replicas in reach (min-replicas-to-write); nothing was written: try again",
    ),
    "NOAUTH": (_DENIED, "{place} wants a password: give one, as in redis://:password@host"),
    "WRONGPASS": (_DENIED, "{place} does not accept this user and password"),
    "NOPERM": (_DENIED, "{place}: the ACL of this user does not allow what a broker needs ({text})"),
    "LOADING": (_BUSY, "{place} is still reading its data from disk; nothing was done: try again"),
    "BUSY": (
        _BUSY,
        "{place} is held by a script that does not end; nothing was done: find out whose, and SCRIPT KILL it",
    ),
    "MASTERDOWN": (_BUSY, "{place} is a replica that has lost its master; nothing was done: try again"),
    "CLUSTERDOWN": (_BUSY, "the cluster of {place} does not serve all slots; nothing was done: try again ({text})"),
    "TRYAGAIN": (_BUSY, "{place} is moving these keys to another node; nothing was done: try again"),
    "UNBLOCKED": (_BUSY, "{place} gave the call up ({text}); nothing was done: try again"),
    "MOVED": (
        errors.ProtocolError,
        "{place} is a node of a cluster, and another one has this key: write redis+cluster:// instead of redis://",
    ),
    "ASK": (
        errors.ProtocolError,
        "{place} is a node of a cluster, and another one gets this key: write redis+cluster:// instead of redis://",
    ),
    "CROSSSLOT": (errors.StorageError, "{place}: the keys of one call belong to several slots of the cluster"),
    "WRONGTYPE": (
        errors.StorageCorrupt,
        "{place}: a key of ours holds a foreign value: name another database, or give a global_keyprefix",
    ),
    "NOPROTO": (errors.NotSupported, "{place} does not speak RESP3: Redis 6.2 or newer, or Valkey, is needed"),
    "DENIED": (errors.ConnectionRefused, "{place} takes no connections from other machines without a password"),
}
"""By the first word of the reply; the words "nothing was …" are true of a script only if it checks before it writes,
which Redis does for OOM, READONLY, MISCONF and NOREPLICAS before it begins a script."""

_OTHER: Final[tuple[tuple[re.Pattern[str], Kind], ...]] = (
    (re.compile("max number of clients"), (errors.ConnectionRefused, "{place} has too many clients (maxclients)")),
    (
        re.compile("DB index is out of range|invalid DB index"),
        (errors.InvalidArgument, "{place} has no such database: its setting `databases` says how many there are"),
    ),
    (
        re.compile("SELECT is not allowed in cluster mode"),
        (errors.InvalidArgument, "a cluster has one database alone: leave the number out of the URL"),
    ),
    (
        re.compile("unknown (sub)?command", re.IGNORECASE),
        (errors.NotSupported, "{place} lacks a command: Redis 6.2 or newer, or Valkey, is needed ({text})"),
    ),
)

_INSIDE: Final = re.compile(r"@user_script: ?\d+: -?(?P<rest>[A-Z]+ .*)", re.DOTALL)
"""What a command inside a script answered, as Redis 6.2 shows it."""

_LONGEST: Final = 300


def problem_of(reply: ErrorReply, place: object) -> Exception:
    """Build the error for a reply of the server at `place`."""
    text = reply.text
    found = _INSIDE.search(text)
    if found is not None:
        text = found["rest"]
    code = text.partition(" ")[0]
    kind = _CODES.get(code)
    if kind is None:
        kind = next((each for pattern, each in _OTHER if pattern.search(text)), None)
    made, words = kind or (errors.StorageError, "{place} answered: {text}")
    return errors.make(made, words.format(place=f"Redis at {place}", text=text[:_LONGEST]))


def lost(place: object, why: object) -> Exception:
    """Build the error for a connection that broke."""
    return errors.make(errors.ConnectionLost, f"the connection to Redis at {place} broke: {why or 'it was closed'}")


def foreign(place: object, why: object) -> Exception:
    """Build the error for a peer that does not speak the protocol."""
    text = f"{place} does not answer as Redis does ({why}): check host and port, and whether it wants TLS"
    return errors.make(errors.ProtocolError, text)


def late(place: object, what: str) -> Exception:
    """Build the error for an answer that did not come in time."""
    text = f"Redis at {place} did not {what} in time: check the server's load and the way to it"
    return errors.make(errors.DeadlineExceeded, text)

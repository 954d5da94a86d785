"""What Redis says becomes the error that tells what to do."""

from __future__ import annotations

import pytest

from dulse import errors
from dulse.links.redis.problems import problem_of
from dulse.links.redis.resp import ErrorReply

SAID = [
    ("OOM command not allowed when used memory > 'maxmemory'.", errors.StorageFull, "raise maxmemory"),
    ("MISCONF Redis is configured to save RDB snapshots", errors.StorageFull, "free some space"),
    ("READONLY You can't write against a read only replica.", errors.StorageReadOnly, "name the master"),
    ("NOREPLICAS Not enough good replicas to write.", errors.StorageError, "min-replicas"),
    ("NOAUTH Authentication required.", errors.AuthenticationFailed, "wants a password"),
    ("WRONGPASS invalid username-password pair", errors.AuthenticationFailed, "does not accept"),
    ("NOPERM this user has no permissions to run the 'set' command", errors.AuthenticationFailed, "ACL"),
    ("LOADING Redis is loading the dataset in memory", errors.StorageBusy, "still reading"),
    ("BUSY Redis is busy running a script.", errors.StorageBusy, "SCRIPT KILL"),
    ("MASTERDOWN Link with MASTER is down", errors.StorageBusy, "lost its master"),
    ("CLUSTERDOWN The cluster is down", errors.StorageBusy, "does not serve all slots"),
    ("TRYAGAIN Multiple keys request during rehashing of slot", errors.StorageBusy, "moving"),
    ("MOVED 3999 127.0.0.1:6381", errors.ProtocolError, r"redis\+cluster://"),
    ("ASK 3999 127.0.0.1:6381", errors.ProtocolError, r"redis\+cluster://"),
    ("WRONGTYPE Operation against a key", errors.StorageCorrupt, "foreign value"),
    ("NOPROTO unsupported protocol version", errors.NotSupported, "6.2"),
    ("ERR unknown command 'HELLO'", errors.NotSupported, "6.2"),
    ("ERR max number of clients reached", errors.ConnectionRefused, "maxclients"),
    ("ERR DB index is out of range", errors.InvalidArgument, "databases"),
    ("ERR something new", errors.StorageError, "something new"),
    (
        "ERR Error running script (call to f_1): @user_script:5: @user_script: 5: -OOM command not allowed",
        errors.StorageFull,
        "raise maxmemory",
    ),
]


@pytest.mark.parametrize(("said", "kind", "advice"), SAID, ids=[said[:40] for said, _, _ in SAID])
def test_each_reply_has_its_error(said: str, kind: type[Exception], advice: str) -> None:
    made = problem_of(ErrorReply(said), "10.1.2.3:6379")
    assert type(made) is kind
    with pytest.raises(kind, match=rf"Redis at 10\.1\.2\.3:6379.*{advice}|.*{advice}"):
        raise made


def test_a_long_answer_is_cut_short() -> None:
    assert len(str(problem_of(ErrorReply("ERR " + "x" * 100_000), "here"))) < 1000

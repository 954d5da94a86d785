"""A master, two replicas and three sentinels that agree on who is the master."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.servers.authority import Authority
from tests.servers.ports import HOST
from tests.servers.process import wait_until
from tests.servers.redis import EXECUTABLE, RedisServer

NAME = "dulse"
QUORUM = 2
DOWN_AFTER_MS = 1000


class Sentinel(RedisServer):
    """One sentinel."""

    def __init__(self, folder: Path, master: int, authority: Authority | None, executable: str) -> None:
        super().__init__(folder, authority, _among_each_other(authority), executable)
        self._master = master

    def prepare(self) -> None:
        """Write its configuration, in which it notes what it learns."""
        super().prepare()
        lines = [
            f"port {self.port}",
            f"bind {self.host}",
            f"dir {self.folder}",
            f"sentinel monitor {NAME} {self.host} {self._master} {QUORUM}",
            f"sentinel down-after-milliseconds {NAME} {DOWN_AFTER_MS}",
            f"sentinel failover-timeout {NAME} 5000",
        ]
        self.folder.joinpath("sentinel.conf").write_text("\n".join(lines) + "\n", encoding="ascii")

    def command(self) -> Sequence[str]:
        return [self.executable, str(self.folder / "sentinel.conf"), "--sentinel", *self._tls(), *self._options]

    def knows(self) -> dict[str, str]:
        """What it knows of the master."""
        words = self.cli("sentinel", "master", NAME).split("\n")
        return dict(zip(words[::2], words[1::2], strict=True))


class RedisSentinels:
    """The six of them; with an authority, clients may speak TLS with them, and they do so with each other."""

    name = NAME

    def __init__(self, folder: Path, authority: Authority | None = None, executable: str = EXECUTABLE) -> None:
        self._is_tls = authority is not None
        own = _among_each_other(authority)
        first = RedisServer(folder / "server-0", authority, own, executable)
        follow = (*own, "--replicaof", HOST, str(self._port(first)))
        folders = [folder / f"server-{number}" for number in (1, 2)]
        self.servers = [first, *(RedisServer(each, authority, follow, executable) for each in folders)]
        folders = [folder / f"sentinel-{number}" for number in range(3)]
        self.sentinels = [Sentinel(each, self._port(first), authority, executable) for each in folders]

    @property
    def url(self) -> str:
        """The sentinels, as Kombu writes them; the master's name is an option of the transport."""
        return ";".join(f"sentinel://{HOST}:{sentinel.port}" for sentinel in self.sentinels)

    @property
    def tls_url(self) -> str:
        """Likewise, for a client that trusts the authority and is told `ssl`."""
        return ";".join(f"sentinel://{HOST}:{sentinel.tls_port}" for sentinel in self.sentinels)

    @property
    def master(self) -> RedisServer:
        """Whom the sentinels take for the master."""
        living = next(sentinel for sentinel in self.sentinels if sentinel.is_running)
        port = int(living.cli("sentinel", "get-master-addr-by-name", NAME).split("\n")[1])
        return next(server for server in self.servers if self._port(server) == port)

    def start(self) -> None:
        """Start all, and block until the sentinels know each other and the replicas follow the master."""
        for server in (*self.servers, *self.sentinels):
            server.start()
        wait_until(self._is_complete, f"the sentinels of {self.servers}")

    def wait_for_other_master(self, former: RedisServer) -> RedisServer:
        """Block until the sentinels have made somebody else the master, and give who it is."""
        wait_until(lambda: self.master is not former, f"a master other than {former!r}")
        return self.master

    def kill(self) -> None:
        """End them all."""
        for server in (*self.sentinels, *self.servers):
            server.kill()

    def _port(self, server: RedisServer) -> int:
        """By which they know each other."""
        return server.tls_port if self._is_tls else server.port

    def _is_complete(self) -> bool:
        master = self.master
        links = master.cli("info", "replication").count("state=online")
        known = [sentinel.knows() for sentinel in self.sentinels]
        return links == 2 and all(
            (each["num-slaves"], each["num-other-sentinels"], each["flags"]) == ("2", "2", "master") for each in known
        )


def _among_each_other(authority: Authority | None) -> Sequence[str]:
    return () if authority is None else ("--tls-replication", "yes")

"""A Redis Cluster: three masters, and a replica of each."""

from __future__ import annotations

from pathlib import Path

from tests.servers.absence import program
from tests.servers.authority import Authority
from tests.servers.ports import HOST, reserve
from tests.servers.process import run, wait_until
from tests.servers.redis import EXECUTABLE, RedisServer

NODES = 6
NODE_TIMEOUT_MS = 2000


class RedisCluster:
    """The six of them; with an authority, clients may speak TLS with them, and they do so with each other."""

    def __init__(self, folder: Path, authority: Authority | None = None, executable: str = EXECUTABLE) -> None:
        self.nodes = [_node(folder / f"node-{number}", authority, executable) for number in range(NODES)]
        self._is_made = False

    @property
    def url(self) -> str:
        """The first node; the others are found through it."""
        return f"redis+cluster://{HOST}:{self.nodes[0].port}/0"

    @property
    def tls_url(self) -> str:
        """Likewise, for a client that trusts the authority and is told `ssl`."""
        return f"redis+cluster://{HOST}:{self.nodes[0].tls_port}/0"

    def start(self) -> None:
        """Start all, and block until every node knows all slots to be served."""
        for node in self.nodes:
            node.start()
        if not self._is_made:
            addresses = [f"{HOST}:{node.port}" for node in self.nodes]
            run(
                [
                    program("redis-cli", "redis-tools"),
                    "--cluster",
                    "create",
                    *addresses,
                    "--cluster-replicas",
                    "1",
                    "--cluster-yes",
                ]
            )
            self._is_made = True
        wait_until(self._is_complete, f"the cluster of {self.nodes}")

    def master_of(self, key: str) -> RedisServer:
        """Who serves a key now, as the first living node sees it."""
        living = next(node for node in self.nodes if node.is_running)
        slot = int(living.cli("cluster", "keyslot", key))
        for line in living.cli("cluster", "nodes").split("\n"):
            words = line.split()
            ranges = [
                range(int(low), int(high or low) + 1) for low, _, high in (each.partition("-") for each in words[8:])
            ]
            if "fail" not in words[2] and any(slot in each for each in ranges):
                port = int(words[1].partition("@")[0].rpartition(":")[2])
                return next(node for node in self.nodes if node.port == port)
        raise LookupError(f"nobody serves slot {slot}")

    def wait_for_other_master(self, key: str, former: RedisServer) -> RedisServer:
        """Block until somebody else serves a key and the cluster is whole, and give who it is."""
        wait_until(lambda: self._is_whole() and self._successor(key, former) is not None, f"a successor of {former!r}")
        found = self._successor(key, former)
        assert found is not None
        return found

    def kill(self) -> None:
        """End them all."""
        for node in self.nodes:
            node.kill()

    def _successor(self, key: str, former: RedisServer) -> RedisServer | None:
        try:
            found = self.master_of(key)
        except LookupError:
            return None
        return None if found is former else found

    def _is_whole(self) -> bool:
        return all("cluster_state:ok" in node.cli("cluster", "info") for node in self.nodes if node.is_running)

    def _is_complete(self) -> bool:
        following = sum("master_link_status:up" in node.cli("info", "replication") for node in self.nodes)
        return self._is_whole() and following == NODES // 2


def _node(folder: Path, authority: Authority | None, executable: str) -> RedisServer:
    mode = ["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-port", str(reserve())]
    mode += [] if authority is None else ["--tls-cluster", "yes", "--tls-replication", "yes"]
    options = [*mode, "--cluster-node-timeout", str(NODE_TIMEOUT_MS)]
    return RedisServer(folder, authority, options, executable)

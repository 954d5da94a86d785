"""Three RabbitMQ nodes that form a cluster, for quorum queues whose leader can be killed."""

from __future__ import annotations

from tests.servers.authority import Authority
from tests.servers.process import wait_until
from tests.servers.rabbitmq import Installation, PortMapper, RabbitMQ

NODES = 3


class RabbitMQCluster:
    """The three of them; all may be asked for anything as long as two are alive."""

    def __init__(self, installation: Installation, mapper: PortMapper, authority: Authority) -> None:
        names = [f"dulse{number}" for number in range(1, NODES + 1)]
        settings = [
            "cluster_formation.peer_discovery_backend = classic_config",
            *(f"cluster_formation.classic_config.nodes.{at} = {name}@localhost" for at, name in enumerate(names, 1)),
            "cluster_partition_handling = pause_minority",
        ]
        self.nodes = [RabbitMQ(installation, mapper, authority, name=name, settings=settings) for name in names]

    @property
    def urls(self) -> list[str]:
        return [node.url for node in self.nodes]

    def start(self) -> None:
        """Start those that do not run, and block until all are members and serve."""
        for node in self.nodes:
            node.start(wait=False)
        for node in self.nodes:
            node.wait_until_ready()
        wait_until(self._is_complete, f"the cluster of {self.nodes}")

    def leader_of(self, queue: str, vhost: str = "/") -> RabbitMQ:
        """Block until a quorum queue has a leader on a node that runs, and give that node."""
        found: list[RabbitMQ] = []

        def is_led() -> bool:
            living = [node for node in self.nodes if node.is_running]
            leader = living[0].management.call("GET", "queues", vhost, queue).get("leader")
            found.extend(node for node in living if node.node == leader)
            return bool(found)

        wait_until(is_led, f"a leader of {queue!r}")
        return found[0]

    def kill(self) -> None:
        """End them all."""
        for node in self.nodes:
            node.kill()

    def _is_complete(self) -> bool:
        states = [(each["name"], each["running"]) for each in self.nodes[0].management.call("GET", "nodes")]
        return sorted(states) == [(node.node, True) for node in self.nodes]

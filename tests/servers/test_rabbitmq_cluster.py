"""The cluster of the tests is a real one, whose quorum queues outlive their leader."""

from __future__ import annotations

from tests.servers.rabbitmq_cluster import RabbitMQCluster

QUORUM = {"durable": True, "arguments": {"x-queue-type": "quorum"}}


def test_a_quorum_queue_gets_another_leader_when_its_node_is_killed(rabbitmq_cluster: RabbitMQCluster) -> None:
    rabbitmq_cluster.nodes[0].management.call("PUT", "queues", "/", "kept", body=QUORUM)
    former = rabbitmq_cluster.leader_of("kept")
    former.kill()
    assert rabbitmq_cluster.leader_of("kept") is not former
    rabbitmq_cluster.start()
    rabbitmq_cluster.nodes[0].management.call("DELETE", "queues", "/", "kept")

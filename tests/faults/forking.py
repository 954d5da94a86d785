"""The cases of test_forks, each in a program of its own: `python -m tests.faults.forking CASE URL`."""

from __future__ import annotations

import multiprocessing
import sys
import threading
from functools import partial

from dulse import Connection, Producer, Queue, errors
from dulse.testing.killing import Child

COUNT = 1500
QUEUE = Queue("work")
PATIENCE = 30


def publish(producer: Producer[str], name: str, count: int = COUNT) -> None:
    for number in range(count):
        producer.publish(f"{name}:{number}", routing_key="work")


def publish_and_close(connection: Connection, producer: Producer[str], name: str) -> None:
    """Do what a child does that ends in order; one that ends by os._exit leaves a dead owner behind."""
    publish(producer, name)
    connection.close()


def opened(url: str) -> tuple[Connection, Producer[str]]:
    connection = Connection(url)
    QUEUE(connection.connect().client).declare()
    producer = connection.Producer()
    producer.publish("warm", routing_key="work")
    message = QUEUE(connection).get(no_ack=True)
    assert message is not None
    return connection, producer


def both_sides_publish(url: str) -> None:
    connection, producer = opened(url)
    child = Child(lambda: publish_and_close(connection, producer, "child"))
    publish(producer, "parent")
    assert child.wait(PATIENCE) == 0
    connection.close()


def both_sides_publish_beside_a_consumer(url: str) -> None:
    """The parent's connection consumes as well, so that its keeper has work while it forks."""
    connection, producer = opened(url)
    other = Queue("other")(connection)
    other.declare()
    for _ in range(100):
        producer.publish("busy", routing_key="other")
    connection.Consumer(other, on_message=lambda message: message.ack(), prefetch_count=1).consume()
    stop = threading.Event()

    def drain() -> None:
        while not stop.is_set():
            try:
                connection.drain_events(timeout=0.1)
            except TimeoutError:
                continue

    thread = threading.Thread(target=drain)
    thread.start()
    child = Child(lambda: publish_and_close(connection, producer, "child"))
    publish(producer, "parent")
    assert child.wait(PATIENCE) == 0
    stop.set()
    thread.join()
    connection.close()


def fork_while_a_thread_publishes(url: str) -> None:
    connection, producer = opened(url)
    thread = threading.Thread(target=publish, args=(producer, "thread"))
    thread.start()
    child = Child(lambda: publish_and_close(connection, producer, "child"))
    publish(producer, "parent")
    assert child.wait(PATIENCE) == 0
    thread.join()
    connection.close()


def a_child_of_a_child_publishes(url: str) -> None:
    connection, producer = opened(url)

    def in_child() -> None:
        grandchild = Child(lambda: publish_and_close(connection, producer, "grandchild"))
        publish(producer, "child")
        assert grandchild.wait(PATIENCE) == 0
        connection.close()

    child = Child(in_child)
    publish(producer, "parent")
    assert child.wait(PATIENCE) == 0
    connection.close()


def _publish_by_fork(producer: Producer[str]) -> None:
    publish(producer, "child")


def _publish_by_spawn(connection: Connection) -> None:
    publish(connection.Producer(), "child")


def multiprocessing_fork(url: str) -> None:
    connection, producer = opened(url)
    process = multiprocessing.get_context("fork").Process(target=_publish_by_fork, args=(producer,))
    process.start()
    publish(producer, "parent")
    process.join(PATIENCE)
    assert process.exitcode == 0
    connection.close()


def multiprocessing_spawn(url: str) -> None:
    """A connection is pickled for the child, which opens it there."""
    connection, producer = opened(url)
    process = multiprocessing.get_context("spawn").Process(target=_publish_by_spawn, args=(connection,))
    process.start()
    publish(producer, "parent")
    process.join(PATIENCE)
    assert process.exitcode == 0
    connection.close()


def a_child_ends_while_its_parent_holds_a_message(url: str) -> None:
    connection, producer = opened(url)
    producer.publish("held", routing_key="work")
    message = QUEUE(connection).get()
    assert message is not None

    def in_child() -> None:
        connection.connect()
        assert QUEUE(connection).get() is None
        connection.close()

    child = Child(in_child)
    child.wait(PATIENCE)
    assert QUEUE(connection).get() is None
    message.ack()
    connection.default_channel.flush()
    (status,) = connection.manager.queues("work")
    assert (status.ready, status.leased) == (0, 0)
    connection.close()


def a_child_settles_what_its_parent_received(url: str) -> None:
    connection, producer = opened(url)
    producer.publish("held", routing_key="work")
    queue = QUEUE(connection.channel())
    message = queue.get()
    assert message is not None

    def in_child() -> None:
        producer.publish("of the child", routing_key="work")
        own = queue.get()  # on the same channel, and so under the same delivery tag
        assert own is not None
        assert own.delivery_tag == message.delivery_tag
        for settle in (message.ack, message.reject, message.requeue):
            try:
                settle()
            except errors.LeaseLost:
                continue
            raise AssertionError(f"{settle} was allowed")
        own.requeue()
        connection.close()

    assert Child(in_child).wait(PATIENCE) == 0
    (status,) = connection.manager.queues("work")
    assert (status.ready, status.leased) == (1, 1)
    message.ack()
    connection.close()


def memory_is_empty_in_a_child(url: str) -> None:
    connection, producer = opened(url)
    producer.publish("of the parent", routing_key="work")

    def in_child() -> None:
        assert connection.manager.queues() == []
        QUEUE(connection).declare()
        publish(producer, "child", 10)
        (status,) = connection.manager.queues("work")
        assert status.ready == 10
        connection.close()

    child = Child(in_child)
    publish(producer, "parent", 10)
    assert child.wait(PATIENCE) == 0
    (status,) = connection.manager.queues("work")
    assert status.ready == 11
    connection.close()


def fork_again_and_again_while_threads_publish(url: str) -> None:
    connection, producer = opened(url)
    stop = threading.Event()
    counts = [0, 0]

    def work(place: int) -> None:
        while not stop.is_set():
            producer.publish(f"thread{place}:{counts[place]}", routing_key="work")
            counts[place] += 1

    threads = [threading.Thread(target=work, args=(place,)) for place in range(2)]
    for thread in threads:
        thread.start()

    def in_child(name: str) -> None:
        publish(producer, name, 1)
        connection.close()

    for number in range(8):
        child = Child(partial(in_child, f"child{number}"))
        assert child.wait(PATIENCE) == 0
    stop.set()
    for thread in threads:
        thread.join()
    (status,) = connection.manager.queues("work")
    assert status.ready == sum(counts) + 8, (status.ready, counts)
    connection.close()


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])

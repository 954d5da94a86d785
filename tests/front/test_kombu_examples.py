"""Programs that Kombu's users have: the quick overview of its documents as it stands, and what its guide describes.

Of the overview only the import and the URL are changed; what follows it was written anew.
"""

from __future__ import annotations

import pickle
import threading
from typing import Any

import pytest

from dulse import (
    Connection,
    Consumer,
    ConsumerMixin,
    ConsumerProducerMixin,
    Exchange,
    Producer,
    Queue,
    connections,
    errors,
    eventloop,
    maybe_declare,
    producers,
    uuid,
)
from dulse.sync import pools

OVERVIEW = """
from kombu import Connection, Exchange, Queue

media_exchange = Exchange('media', 'direct', durable=True)
video_queue = Queue('video', exchange=media_exchange, routing_key='video')

def process_media(body, message):
    print(body)
    message.ack()

# connections
with Connection('amqp://guest:guest@localhost//') as conn:

    # produce
    producer = conn.Producer(serializer='json')
    producer.publish({'name': '/tmp/lolcat1.avi', 'size': 1301013},
                      exchange=media_exchange, routing_key='video',
                      declare=[video_queue])

    # consume
    with conn.Consumer(video_queue, callbacks=[process_media]) as consumer:
        while True:
            conn.drain_events()
"""

SEVERAL_QUEUES = """
video_queue = Queue('video', exchange=media_exchange, key='video')
image_queue = Queue('image', exchange=media_exchange, key='image')

with connection.Consumer([video_queue, image_queue],
                         callbacks=[process_media]) as consumer:
    while True:
        connection.drain_events()
"""

CHANNELS_BY_HAND = """
with connection.channel() as channel:
    producer = Producer(channel)
    consumer = Consumer(channel)
"""

WITHOUT_WITH = """
from kombu import Connection, Consumer, Producer

connection = Connection('amqp://')
connection.release()

consumer = Consumer(channel_or_connection, queue)
consumer.register_callback(my_callback)
consumer.consume()
drain()
consumer.cancel()
"""

BOUND = """
exchange = Exchange('tasks', 'direct')

connection = Connection('amqp://')
bound_exchange = exchange(connection)
bound_exchange.delete()
"""


class NothingLeft(Exception):
    """There is no event to wait for, where the example waits for ever."""


def run(example: str, url: str, monkeypatch: pytest.MonkeyPatch, **known: Any) -> dict[str, Any]:
    """Run an example with dulse's names and a broker in memory; a drain that would last for ever ends it."""
    drain_events = Connection.drain_events

    def drain_what_is_there(connection: Connection, timeout: float | None = None) -> None:
        try:
            drain_events(connection, timeout=0 if timeout is None else timeout)
        except errors.DeadlineExceeded as nothing:
            raise NothingLeft from nothing

    monkeypatch.setattr(Connection, "drain_events", drain_what_is_there)
    source = example.replace("from kombu import", "from dulse import")
    for address in ("amqp://guest:guest@localhost//", "amqp://"):
        source = source.replace(address, url)
    names: dict[str, Any] = {**known}
    exec(compile(source, "<example>", "exec"), names)
    return names


def test_the_overview_sends_and_receives(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(NothingLeft):
        run(OVERVIEW, url, monkeypatch)
    assert capsys.readouterr().out == "{'name': '/tmp/lolcat1.avi', 'size': 1301013}\n"
    with Connection(url) as connection:
        assert Queue("video")(connection).get() is None


def test_the_overview_consumes_from_several_queues(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    got: list[Any] = []
    exchange = Exchange("media", "direct")

    def process_media(body: Any, message: Any) -> None:
        got.append(body)
        message.ack()

    with Connection(url) as connection:
        for kind in ("video", "image"):
            queue = Queue(kind, exchange, routing_key=kind)
            connection.Producer().publish(kind, exchange=exchange, routing_key=kind, declare=[queue])
        with pytest.raises(NothingLeft):
            run(
                SEVERAL_QUEUES,
                url,
                monkeypatch,
                Queue=Queue,
                connection=connection,
                media_exchange=exchange,
                process_media=process_media,
            )
    assert sorted(got) == ["image", "video"]


def test_the_overview_handles_channels_by_hand(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Connection(url) as connection:
        names = run(CHANNELS_BY_HAND, url, monkeypatch, connection=connection, Producer=Producer, Consumer=Consumer)
        assert not names["channel"].is_open
        assert names["producer"].channel is names["consumer"].channel is names["channel"]


def test_the_overview_does_without_with(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    got: list[Any] = []

    def my_callback(body: Any, message: Any) -> None:
        got.append(body)
        message.ack()

    with Connection(url) as connection:
        queue: Queue = Queue("tasks")
        connection.Producer().publish("work", routing_key="tasks", declare=[queue])
        run(
            WITHOUT_WITH,
            url,
            monkeypatch,
            channel_or_connection=connection,
            queue=queue,
            my_callback=my_callback,
            drain=lambda: connection.drain_events(timeout=5),
        )
    assert got == ["work"]


def test_the_overview_binds_an_exchange_and_leaves_the_original_alone(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = run(BOUND, url, monkeypatch, Exchange=Exchange, Connection=Connection)
    with pytest.raises(errors.NotBoundError):
        names["exchange"].delete()
    names["connection"].close()


# ------------------------------------------------------------------------------ what the user guide describes


def test_declarations_can_be_kept_in_configuration_files() -> None:
    queue: Queue = Queue("tasks", Exchange("work", "topic"), "task.#", max_length=10)
    assert pickle.loads(pickle.dumps(queue)) == queue


def test_messages_compressed_by_the_sender_are_expanded(url: str) -> None:
    exchange = Exchange("demo", type="direct")
    queue: Queue = Queue("demo", exchange, routing_key="demo")
    got: list[Any] = []
    with Connection(url) as connection, Consumer(connection, queue, callbacks=[lambda body, _: got.append(body)]):
        Producer(connection).publish(
            {"hello": "world"}, exchange=exchange, routing_key="demo", serializer="json", compression="zlib"
        )
        for _ in eventloop(connection, limit=1, timeout=5):
            pass
    assert got == [{"hello": "world"}]


def test_a_log_is_written_and_read_by_simple_queues(url: str) -> None:
    with Connection(url) as connection:
        log = connection.SimpleQueue("log")
        log.put({"level": "ERROR"}, serializer="json", compression=None)
        assert len(log) == 1
        entry = log.get(block=True, timeout=5)
        assert entry.payload == {"level": "ERROR"}
        entry.ack()
        assert len(log) == 0
        log.close()


def test_pools_are_found_by_their_connection(url: str) -> None:
    news: Exchange = Exchange("news")
    queue: Queue = Queue("news", news, routing_key="domestic")
    with producers[Connection(url)].acquire(block=True) as producer:
        producer.publish(
            {"title": "rain"}, exchange=news, routing_key="domestic", declare=[news, queue], compression="zlib"
        )
    with connections[Connection(url)].acquire(block=True) as connection:
        message = queue(connection).get()
        assert message is not None
        assert message.payload == {"title": "rain"}
    pools.reset()


def test_consumers_on_several_channels_share_a_connection(url: str) -> None:
    got: list[str] = []
    with (
        Connection(url) as connection,
        connection.channel() as first,
        connection.channel() as second,
        Consumer(first, Queue("one"), callbacks=[lambda body, _: got.append(f"first got {body}")], no_ack=True),
        Consumer(second, Queue("two"), callbacks=[lambda body, _: got.append(f"second got {body}")], no_ack=True),
    ):
        for name in ("one", "two"):
            connection.Producer().publish(name, routing_key=name)
        for _ in range(2):
            connection.drain_events(timeout=5)
    assert sorted(got) == ["first got one", "second got two"]


def test_publishing_and_declaring_may_be_made_to_succeed(url: str) -> None:
    queue: Queue = Queue("tasks")
    with Connection(f"{url};memory://{uuid()}") as connection:
        producer = Producer(connection)
        declare = connection.autoretry(lambda channel: queue(channel).declare())
        declare()
        publish = connection.ensure(producer, producer.publish, max_retries=3)
        publish({"hello": "world"}, routing_key="tasks")
        producer.publish({"hello": "again"}, routing_key="tasks", retry=True, retry_policy={"max_retries": 30})
        assert [message.payload["hello"] for _ in range(2) if (message := queue(connection).get())] == [
            "world",
            "again",
        ]


# ---------------------------------------------------------------------------------------- whole programs


class Worker(ConsumerMixin):
    """Runs tasks from queues of three priorities."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.done: list[str] = []

    def get_consumers(self, Consumer: Any, channel: Any) -> list[Any]:  # noqa: N803 - Kombu's name
        exchange = Exchange("tasks", type="direct")
        queues = [Queue(name, exchange, routing_key=name) for name in ("high", "mid", "low")]
        return [Consumer(queues=queues, accept=["json"], callbacks=[self.process_task])]

    def process_task(self, body: dict[str, Any], message: Any) -> None:
        self.done.append(TASKS[body["fun"]](*body["args"], **body["kwargs"]))
        message.ack()
        self.should_stop = len(self.done) == 2


def hello(who: str = "world") -> str:
    return f"hello {who}"


TASKS = {"hello": hello}


def test_a_task_queue(url: str) -> None:
    connection = Connection(url)
    exchange = Exchange("tasks", type="direct")

    def send(fun: str, *args: Any, priority: str = "mid", **kwargs: Any) -> None:
        queue = Queue(priority, exchange, routing_key=priority)
        with producers[connection].acquire(block=True) as producer:
            maybe_declare(exchange, producer.channel)
            producer.publish(
                {"fun": fun, "args": args, "kwargs": kwargs},
                serializer="json",
                compression="bzip2",
                exchange=exchange,
                declare=[queue],
                routing_key=priority,
            )

    send("hello", "kombu", priority="high")
    send("hello", who="dulse")
    worker = Worker(connection)
    worker.run()
    assert sorted(worker.done) == ["hello dulse", "hello kombu"]
    pools.reset()


class Server(ConsumerProducerMixin):
    """Answers requests where they say."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.ready = threading.Event()

    def get_consumers(self, Consumer: Any, channel: Any) -> list[Any]:  # noqa: N803 - Kombu's name
        return [
            Consumer(
                queues=[Queue("requests")],
                on_message=self.on_request,
                accept={"application/json"},
                prefetch_count=1,
            )
        ]

    def on_consume_ready(self, connection: Any, channel: Any, consumers: Any, **kwargs: Any) -> None:
        self.ready.set()

    def on_request(self, message: Any) -> None:
        self.producer.publish(
            {"result": message.payload["n"] ** 2},
            exchange="",
            routing_key=message.properties["reply_to"],
            correlation_id=message.properties["correlation_id"],
            serializer="json",
            retry=True,
        )
        message.ack()


def test_a_remote_procedure_call(url: str) -> None:
    server = Server(Connection(url))
    serving = threading.Thread(target=server.run)
    serving.start()
    assert server.ready.wait(10)
    results: list[int] = []
    replies: Queue = Queue(uuid(), exclusive=True, auto_delete=True)
    with Connection(url) as connection:
        asked = uuid()
        with Producer(connection) as producer:
            producer.publish(
                {"n": 12},
                exchange="",
                routing_key="requests",
                declare=[replies],
                reply_to=replies,
                correlation_id=asked,
            )

        def on_response(message: Any) -> None:
            assert message.properties["correlation_id"] == asked
            results.append(message.payload["result"])

        with Consumer(connection, on_message=on_response, queues=[replies], no_ack=True):
            while not results:
                connection.drain_events(timeout=10)
    server.should_stop = True
    serving.join(10)
    assert results == [144]
    assert not serving.is_alive()

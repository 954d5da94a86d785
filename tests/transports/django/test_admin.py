"""The pages of the admin site show queues and messages, and change them for those who may."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from dulse import Connection, Exchange, Queue

pytestmark = pytest.mark.timeout(240)

PAGES = "/admin/dulse/queue/"
DEAD = Queue("dead")
WORK = Queue("work", queue_arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"})


@pytest.fixture
def site(django_sqlite: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The site, on a database that has its users and the broker."""
    from django.db import connections
    from django.test.utils import setup_test_environment, teardown_test_environment

    default = connections["default"]
    monkeypatch.setitem(connections.settings, "default", connections.settings[django_sqlite])
    del connections["default"]
    setup_test_environment()
    yield "default"
    teardown_test_environment()
    connections["default"].close()
    connections["default"] = default


@pytest.fixture
def broker(site: str) -> Iterator[Connection]:
    """A connection to the broker, with a queue and the queue of its dead letters."""
    with Connection(f"django://{site}") as connection:
        for queue in (WORK, DEAD):
            queue(connection.default_channel).declare()
        yield connection


def client(*permissions: str) -> Client:
    """A browser of somebody of the staff who may do so much."""
    from django.apps import apps
    from django.contrib.auth.management import create_permissions
    from django.contrib.auth.models import Permission, User

    create_permissions(apps.get_app_config("dulse"), verbosity=0)
    user = User.objects.create_user("ann", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions, content_type__app_label="dulse"))
    found = Client(enforce_csrf_checks=False)
    found.force_login(user)
    return found


def ready(broker: Connection, queue: str) -> int:
    (status,) = broker.manager.queues(queue)
    return status.ready


def reject(broker: Connection, count: int) -> None:
    """Let messages die."""
    queue = WORK(broker.default_channel)
    for number in range(count):
        broker.Producer().publish({"order": number}, routing_key="work")
        message = queue.get()
        assert message is not None
        message.reject()
    broker.default_channel.flush()


def test_the_list_tells_how_much_each_queue_holds(broker: Connection) -> None:
    for _ in range(3):
        broker.Producer().publish("tea", routing_key="work")

    page = client("view_queue").get(PAGES)

    assert page.status_code == 200
    assert [(row.status.name, row.status.ready) for row in page.context["rows"]] == [("dead", 0), ("work", 3)]
    assert page.context["rows"][0].oldest is None
    assert 0 <= page.context["rows"][1].oldest < 240
    assert b"<td>3</td>" in page.content


def test_the_list_can_be_searched(broker: Connection) -> None:
    page = client("view_queue").get(PAGES, {"q": "wo"})

    assert [row.status.name for row in page.context["rows"]] == ["work"]


def test_the_index_of_the_site_leads_to_the_queues(broker: Connection) -> None:
    page = client("view_queue").get("/admin/")

    assert PAGES.encode() in page.content


def test_dead_letters_are_shown_with_the_queue_they_come_from(broker: Connection) -> None:
    reject(broker, 2)

    page = client("view_queue").get(f"{PAGES}messages/", {"queue": "dead"})

    assert [shown.origin for shown in page.context["found"]] == ["work", "work"]
    assert b"&quot;order&quot;: 0" in page.content
    assert ready(broker, "dead") == 2, "looking takes nothing"


def test_what_a_message_says_is_no_markup(broker: Connection) -> None:
    broker.Producer().publish("<script>alert(1)</script>", routing_key="work")

    page = client("view_queue").get(f"{PAGES}messages/", {"queue": "work"})

    assert b"<script>alert" not in page.content
    assert b"&lt;script&gt;alert" in page.content


def test_dead_letters_are_moved_back(broker: Connection) -> None:
    reject(broker, 3)
    browser = client("view_queue", "move_queue")
    offered = browser.get(f"{PAGES}messages/", {"queue": "dead"}).context["form"].initial["destination"]

    page = browser.post(f"{PAGES}move/?queue=dead", {"destination": offered, "limit": 2}, follow=True)

    assert offered == "work"
    assert (ready(broker, "dead"), ready(broker, "work")) == (1, 2)
    assert b"Moved 2 messages to work" in page.content


def test_a_move_to_nowhere_is_told_and_moves_nothing(broker: Connection) -> None:
    reject(broker, 1)

    page = client("view_queue", "move_queue").post(
        f"{PAGES}move/?queue=dead", {"destination": "nowhere", "limit": 2}, follow=True
    )

    assert b"nowhere" in page.content
    assert ready(broker, "dead") == 1


@pytest.mark.parametrize("given", [{"destination": "", "limit": 1}, {"destination": "work", "limit": 0}])
def test_a_move_that_says_too_little_or_too_much_is_told(broker: Connection, given: dict[str, Any]) -> None:
    reject(broker, 1)

    page = client("view_queue", "move_queue").post(f"{PAGES}move/?queue=dead", given, follow=True)

    assert page.status_code == 200
    assert b'class="error"' in page.content
    assert ready(broker, "dead") == 1


def test_a_purge_is_confirmed_before_it_is_done_and_is_remembered(broker: Connection) -> None:
    from django.contrib.admin.models import LogEntry

    broker.Producer().publish("tea", routing_key="work")
    browser = client("view_queue", "purge_queue")

    for asked in (browser.get(f"{PAGES}purge/?queue=work"), browser.post(f"{PAGES}purge/?queue=work")):
        assert b"This deletes the 1 ready messages" in asked.content
    assert ready(broker, "work") == 1
    page = browser.post(f"{PAGES}purge/?queue=work", {"confirmed": "yes"}, follow=True)

    assert ready(broker, "work") == 0
    assert b"Deleted 1 messages" in page.content
    assert [(entry.object_id, entry.change_message) for entry in LogEntry.objects.all()] == [
        ("work", "Deleted 1 messages")
    ]


@pytest.mark.parametrize("page", ["", "messages/?queue=work", "move/?queue=work", "purge/?queue=work"])
def test_who_may_nothing_sees_nothing(broker: Connection, page: str) -> None:
    browser = client()
    given = {"destination": "dead", "limit": "1", "confirmed": "yes"}

    answer = browser.post(PAGES + page, given) if "move" in page or "purge" in page else browser.get(PAGES + page)

    assert answer.status_code == 403


@pytest.mark.parametrize("page", ["move", "purge"])
def test_who_may_look_may_not_change(broker: Connection, page: str) -> None:
    broker.Producer().publish("tea", routing_key="work")
    browser = client("view_queue")

    answer = browser.post(f"{PAGES}{page}/?queue=work", {"destination": "dead", "limit": 1, "confirmed": "yes"})
    shown = browser.get(f"{PAGES}messages/?queue=work")

    assert answer.status_code == 403
    assert ready(broker, "work") == 1
    assert b"Purge" not in shown.content
    assert b"Move ready" not in shown.content


def test_strangers_are_sent_to_the_login(broker: Connection) -> None:
    answer = Client().get(PAGES)

    assert answer.status_code == 302
    assert "/admin/login/" in answer.headers["Location"]


def test_a_form_of_another_site_is_refused(broker: Connection) -> None:
    broker.Producer().publish("tea", routing_key="work")
    browser = client("view_queue", "purge_queue")
    browser.handler.enforce_csrf_checks = True

    assert browser.post(f"{PAGES}purge/?queue=work", {"confirmed": "yes"}).status_code == 403
    assert ready(broker, "work") == 1


def test_a_queue_that_is_not_there_is_not_found(broker: Connection) -> None:
    assert client("view_queue").get(f"{PAGES}messages/", {"queue": "nowhere"}).status_code == 404


def test_a_broker_that_cannot_be_used_is_told_on_the_page(site: str) -> None:
    from django.db import connections

    browser = client("view_queue")
    with connections[site].cursor() as cursor:
        cursor.execute("DROP TABLE dulse_record")

    page = browser.get(PAGES)

    assert page.status_code == 503
    assert b"not those of a broker" in page.content


def test_the_pages_work_where_each_request_is_a_transaction(
    broker: Connection, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import connections

    reject(broker, 1)
    browser = client("view_queue", "move_queue")
    monkeypatch.setitem(connections[site].settings_dict, "ATOMIC_REQUESTS", True)

    page = browser.post(f"{PAGES}move/?queue=dead", {"destination": "work", "limit": 1}, follow=True)

    assert page.status_code == 200
    assert ready(broker, "work") == 1


def test_queues_of_any_name_have_a_page(broker: Connection) -> None:
    name = "a/b?c=ü&d <e> #1"
    Queue(name, Exchange("odd"))(broker.default_channel).declare()
    browser = client("view_queue")

    (row,) = [row for row in browser.get(PAGES).context["rows"] if row.status.name == name]

    assert browser.get(row.url).context["status"].name == name

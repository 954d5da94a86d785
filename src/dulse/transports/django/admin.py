"""The pages of the admin site: the queues, the messages that wait in one, and moving and purging them.

Nothing is taken by looking. `view_queue` is needed to look, `move_queue` and `purge_queue` for the rest. The pages see
the broker by connections of their own, and so are outside of ATOMIC_REQUESTS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_POST

from dulse import errors
from dulse.model.commands import PurgeQueue
from dulse.model.inspection import QueueStatus, WaitingMessage
from dulse.transport import Management
from dulse.transports.django.forms import MoveForm
from dulse.transports.django.models import Queue
from dulse.transports.django.visiting import alias_of_project, management_of, visited

__all__ = ["QueueAdmin"]

SHOWN: Final = 50
"""Messages on one page."""

PREVIEW: Final = 1000
"""Bytes of a message that are shown."""

ORIGINS: Final = ("x-set-aside-queue", "x-last-death-queue", "x-first-death-queue")
"""Headers that tell in which queue a message was before."""


class Row(NamedTuple):
    """A queue in the list."""

    status: QueueStatus
    oldest: float | None
    """Seconds that the message which comes next has waited."""
    url: str


class Shown(NamedTuple):
    """A message on a page."""

    message: WaitingMessage
    origin: str
    size: int
    preview: str


@admin.register(Queue)
class QueueAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # it takes no parameters when it runs
    """Queues of the broker, which are no rows of a table."""

    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody declares queues here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes queues here."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes queues here."""
        return False

    def get_urls(self) -> list[URLPattern]:
        """Give the pages."""
        return [
            path("", self._page(require_GET(self.queues_view)), name="dulse_queue_changelist"),
            path("messages/", self._page(require_GET(self.messages_view)), name="dulse_queue_messages"),
            path("move/", self._page(require_POST(self.move_view)), name="dulse_queue_move"),
            path("purge/", self._page(self.purge_view), name="dulse_queue_purge"),
        ]

    def _page(self, view: Callable[[HttpRequest], HttpResponse]) -> Callable[..., HttpResponse]:
        page = self.admin_site.admin_view(self._telling(view))
        return transaction.non_atomic_requests(using=alias_of_project())(page)

    def _telling(self, view: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
        """Make a page of what the broker refuses."""

        def told(request: HttpRequest) -> HttpResponse:
            if not self.has_view_permission(request):
                raise PermissionDenied
            try:
                return view(request)
            except errors.NotFound as problem:
                return self._render(request, "problem", 404, title="There is no such queue", problem=problem)
            except errors.DulseError as problem:
                return self._render(request, "problem", 503, title="The broker refuses", problem=problem)

        return told

    # --------------------------------------------------------------------------------------------- looking

    def queues_view(self, request: HttpRequest) -> HttpResponse:
        """List all queues, or those whose names contain what was searched for."""
        wanted = request.GET.get("q", "")
        with visited(alias_of_project()) as transport:
            management = management_of(transport)
            found = [status for status in management.queues() if wanted in status.name]
            rows = [Row(status, _oldest(management, status), _url("messages", status.name)) for status in found]
        return self._render(request, "queues", title="Queues", rows=rows, wanted=wanted)

    def messages_view(self, request: HttpRequest) -> HttpResponse:
        """Show the messages of a queue that come next."""
        name = request.GET.get("queue", "")
        with visited(alias_of_project()) as transport:
            management = management_of(transport)
            (status,) = management.queues([name])
            found = [_shown(message) for message in management.peek(name, SHOWN)]
        origin = next((shown.origin for shown in found if shown.origin), "")
        return self._render(
            request,
            "messages",
            title=f"Queue {name}",
            status=status,
            found=found,
            form=MoveForm(initial={"destination": origin}),
            may_move=self._may(request, "move"),
            may_purge=self._may(request, "purge"),
        )

    # -------------------------------------------------------------------------------------------- changing

    def move_view(self, request: HttpRequest) -> HttpResponse:
        """Move messages, those that come next first, and go back to where they were."""
        self._must(request, "move")
        name = request.GET.get("queue", "")
        form = MoveForm(request.POST)
        if not form.is_valid():
            for field, problems in form.errors.items():
                messages.error(request, f"{form.fields[field].label}: {' '.join(map(str, problems))}")
            return HttpResponseRedirect(_url("messages", name))
        destination, limit = form.cleaned_data["destination"], form.cleaned_data["limit"]
        with visited(alias_of_project()) as transport:
            try:
                moved = management_of(transport).move(name, destination, limit)
            except (errors.ChannelError, errors.PublishError, errors.InvalidArgument) as problem:
                messages.error(request, str(problem))
                return HttpResponseRedirect(_url("messages", name))
        self._tell(request, name, f"Moved {moved} messages to {destination}")
        return HttpResponseRedirect(_url("messages", name))

    def purge_view(self, request: HttpRequest) -> HttpResponse:
        """Ask whether the ready messages of a queue shall go, and delete them if so."""
        self._must(request, "purge")
        name = request.GET.get("queue", "")
        with visited(alias_of_project()) as transport:
            (status,) = management_of(transport).queues([name])
            if request.method != "POST" or request.POST.get("confirmed") != "yes":
                return self._render(request, "purge", title=f"Purge queue {name}?", status=status)
            purged = transport.channel().execute(PurgeQueue(name))
        self._tell(request, name, f"Deleted {purged} messages")
        return HttpResponseRedirect(_url("messages", name))

    # ----------------------------------------------------------------------------------------------- parts

    def _may(self, request: HttpRequest, deed: str) -> bool:
        user: Any = request.user  # whatever AUTH_USER_MODEL is, it has permissions
        return bool(user.has_perm(f"dulse.{deed}_queue"))

    def _must(self, request: HttpRequest, deed: str) -> None:
        if not self._may(request, deed):
            raise PermissionDenied

    def _tell(self, request: HttpRequest, name: str, text: str) -> None:
        self.log_change(request, Queue(name=name), text)
        messages.success(request, text)

    def _render(self, request: HttpRequest, page: str, status_code: int = 200, **context: Any) -> HttpResponse:
        shared = {**self.admin_site.each_context(request), "opts": self.model._meta}  # noqa: SLF001 - Django's own templates read it
        shared["list_url"] = reverse("admin:dulse_queue_changelist")
        status = context.get("status")
        if status is not None:
            shared |= {each: _url(each, status.name) for each in ("messages_url", "move_url", "purge_url")}
        return render(request, f"admin/dulse/queue/{page}.html", {**shared, **context}, status=status_code)


def _url(page: str, queue: str) -> str:
    page = page.removesuffix("_url")
    return f"{reverse(f'admin:dulse_queue_{page}')}?{urlencode({'queue': queue})}"


def _oldest(management: Management, status: QueueStatus) -> float | None:
    found = management.peek(status.name) if status.ready else ()
    return found[0].age if found else None


def _shown(message: WaitingMessage) -> Shown:
    headers = message.properties.get("headers") or {}
    origin = next((str(headers[name]) for name in ORIGINS if name in headers), "")
    preview = message.body[:PREVIEW].decode("utf-8", "replace")
    return Shown(message, origin, len(message.body), preview)

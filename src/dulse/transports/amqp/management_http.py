"""Asks RabbitMQ's management API over HTTP: within a deadline, with a bounded answer, and no secret in any error."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

from dulse import errors
from dulse.links.addresses import Place
from dulse.links.tls import Tls, tls_failure

MOST_BYTES = 32 * 1024 * 1024
"""Of one answer: more than a page of PAGE queues with long arguments needs."""

PAGE = 500
"""Things asked for at a time; the API's own limit."""

CONNECT_TIMEOUT = 5.0
"""Seconds to connect: a firewall that drops packets must not use up the time for the way without the API."""

_CHUNK = 65536
_LONGEST_REASON = 300
_ENABLE = "rabbitmq-plugins enable rabbitmq_management"


T = TypeVar("T")


class Credentials(NamedTuple):
    """Who asks."""

    user: str
    password: Callable[[], str]

    def __repr__(self) -> str:
        return f"Credentials(user={self.user!r})"

    def header(self) -> str:
        """Give the value of `Authorization` (RFC 7617)."""
        pair = f"{self.user}:{self.password()}".encode()
        return f"Basic {base64.b64encode(pair).decode('ascii')}"


class ManagementApi:
    """The API of one broker, or of a cluster at several places, which are tried in order. Threads may share it."""

    def __init__(
        self,
        places: Sequence[Place],
        credentials: Credentials | None,
        *,
        tls: Tls | None = None,
        path: str = "",
        timeout: float = 30.0,
    ) -> None:
        """Know where to ask; `path` stands before /api, and `timeout` is what one question may take in seconds."""
        self.places = tuple(places)
        self.timeout = timeout
        self._credentials = credentials
        self._tls = tls
        self._path = path.rstrip("/")

    def __repr__(self) -> str:
        scheme = "http" if self._tls is None else "https"
        return f"<ManagementApi {scheme}://{self.places[0]}{self._path}>"

    def pages(self, *path: str) -> list[dict[str, Any]]:
        """Give all things of a long list, which the API gives out in pages."""
        deadline = time.monotonic() + self.timeout
        found: list[dict[str, Any]] = []
        number, last = 1, 1
        while number <= last:
            query = f"page={number}&page_size={PAGE}"
            try:
                answer = self._ask(path, query, deadline)
            except errors.CommandInvalid:
                if number > 1:  # things were deleted meanwhile, and the last page with them
                    break
                raise
            if isinstance(answer, list):  # a list that this version does not divide
                return self._things(answer)
            if not isinstance(answer, dict) or not isinstance(answer.get("page_count"), int):
                raise self._strange("gave no page")
            found += self._things(answer.get("items"))
            last = answer["page_count"]
            number += 1
        return found

    def all(self, *path: str) -> list[dict[str, Any]]:
        """Give all things of a list."""
        return self._things(self._ask(path, "", time.monotonic() + self.timeout))

    def one(self, *path: str) -> dict[str, Any]:
        """Give one thing; raises NotFound."""
        (found,) = self._things([self._ask(path, "", time.monotonic() + self.timeout)])
        return found

    def read(self, reader: Callable[[dict[str, Any]], T], item: dict[str, Any]) -> T:
        """Make a record of a thing; ProtocolError where it is not as the API describes it."""
        try:
            return reader(item)
        except (KeyError, TypeError, AttributeError) as problem:
            raise self._strange(f"left something out ({problem!r})") from problem

    def _things(self, found: Any) -> list[dict[str, Any]]:
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise self._strange("gave another kind of JSON")
        return found

    # --------------------------------------------------------------------------------------------- ask

    def _ask(self, path: Sequence[str], query: str, deadline: float) -> Any:
        import http.client  # few programs ask, and it takes long to import

        if self._credentials is None:
            text = "the management API wants a user and a password, and this connection has none: name management_url"
            raise errors.make(errors.NotSupported, text)
        target = f"{self._path}/api/" + "/".join(quote(part, safe="") for part in path) + (query and f"?{query}")
        place, link = self._connected(deadline)
        with link, _ended_at(link, deadline) as is_over:
            try:
                status, body = self._exchange(self._credentials, place, link, target)
            except (OSError, http.client.HTTPException, ValueError) as problem:
                if is_over.is_set() or isinstance(problem, TimeoutError):
                    text = f"the management API at {place} did not answer GET {target} within {self.timeout:g} s"
                    raise errors.make(errors.DeadlineExceeded, text) from None
                if isinstance(problem, OSError):
                    text = f"the management API at {place} broke off its answer to GET {target}: {_words(problem)}"
                    raise errors.make(errors.ConnectionLost, text) from problem
                raise self._strange(f"does not speak HTTP/1.1 ({type(problem).__name__})") from problem
            if is_over.is_set():  # what was read until then may look like an answer
                text = f"the management API at {place} had not answered GET {target} in full within {self.timeout:g} s"
                raise errors.make(errors.DeadlineExceeded, text)
        return self._judged(status, body, target)

    def _connected(self, deadline: float) -> tuple[Place, socket.socket]:
        problem: Exception | None = None
        for place in self.places:
            left = min(CONNECT_TIMEOUT, deadline - time.monotonic())
            if left <= 0:
                break
            try:
                return place, self._connect(place, left)
            except errors.CertificateInvalid:
                raise
            except errors.ConnectionError as failure:
                problem = failure
        if problem is None:
            text = f"there was no time left to ask the management API at {self.places[0]}"
            problem = errors.make(errors.DeadlineExceeded, text)
        raise problem

    def _connect(self, place: Place, timeout: float) -> socket.socket:
        try:
            link = socket.create_connection(place, timeout)
        except OSError as problem:
            text = (
                f"the management API does not answer at {place} ({_words(problem)}): enable its plugin at the broker "
                f"({_ENABLE}), or say where it is by the option management_port or management_url"
            )
            raise errors.make(errors.ConnectionRefused, text) from problem
        if self._tls is None:
            return link
        try:
            return self._tls.secured(link, place.host)
        except OSError as problem:
            link.close()
            raise tls_failure(problem, f"the management API at {place}") from problem

    def _exchange(self, credentials: Credentials, place: Place, link: socket.socket, target: str) -> tuple[int, bytes]:
        from http.client import HTTPConnection

        connection = HTTPConnection(place.host, place.port)
        connection.sock = link
        headers = {
            "Authorization": credentials.header(),
            "Accept": "application/json",
            "Connection": "close",
        }
        connection.request("GET", target, headers=headers)
        answer = connection.getresponse()
        body = bytearray()
        while len(body) <= MOST_BYTES and (part := answer.read(_CHUNK)):
            body += part
        if answer.length:
            raise OSError("the connection ended before the answer did")
        return answer.status, bytes(body)

    # ------------------------------------------------------------------------------------------- judge

    def _judged(self, status: int, body: bytes, target: str) -> Any:
        if len(body) > MOST_BYTES:
            raise self._strange(f"gave more than {MOST_BYTES // 1024**2} MiB for GET {target}")
        try:
            found = json.loads(body) if body else None
        except (ValueError, RecursionError):
            found = None
            if status == HTTPStatus.OK:
                raise self._strange("gave no JSON: is it RabbitMQ's?") from None
        if status == HTTPStatus.OK:
            return found
        raise self._refusal(status, _reason(found), target)

    def _refusal(self, status: int, reason: str, target: str) -> Exception:
        what = f"the management API at {self.places[0]} answered GET {target} by {status}{reason}"
        user = self._credentials.user if self._credentials is not None else ""
        if status == HTTPStatus.UNAUTHORIZED:
            text = (
                f"{what}: it does not let user {user!r} in, who needs the right password and a tag "
                f"(rabbitmqctl set_user_tags {user} management)"
            )
            return errors.make(errors.AuthenticationFailed, text)
        if status == HTTPStatus.FORBIDDEN:
            return errors.make(errors.AccessRefused, f"{what}: user {user!r} may not see that", code=403, method="GET")
        if status == HTTPStatus.NOT_FOUND:
            return errors.make(errors.NotFound, f"{what}: there is no such thing", code=404, method="GET")
        if status == HTTPStatus.BAD_REQUEST:
            return errors.make(errors.CommandInvalid, what, code=503, method="GET")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return errors.make(errors.ConnectionError, f"{what}: try again later")
        return self._strange(f"answered by {status}{reason}")

    def _strange(self, what: str) -> Exception:
        text = f"the management API at {self.places[0]} {what}; check management_port and management_url"
        return errors.make(errors.ProtocolError, text)


@contextmanager
def _ended_at(link: socket.socket, deadline: float) -> Iterator[threading.Event]:
    """End a socket at a deadline, however slowly its peer goes on; sets the event then."""
    is_over = threading.Event()

    def end() -> None:
        is_over.set()
        with suppress(OSError):
            link.shutdown(socket.SHUT_RDWR)

    left = max(deadline - time.monotonic(), 0.001)
    link.settimeout(left)
    timer = threading.Timer(left, end)
    timer.daemon = True
    timer.start()
    try:
        yield is_over
    finally:
        timer.cancel()


def _reason(found: Any) -> str:
    """Give the broker's own words, as far as they can be printed."""
    reason = found.get("reason") or found.get("error") if isinstance(found, dict) else None
    if not isinstance(reason, str):
        return ""
    return f" ({''.join(each if each.isprintable() else ' ' for each in reason[:_LONGEST_REASON])})"


def _words(problem: OSError) -> str:
    if isinstance(problem, ssl.SSLError):
        return problem.reason or "TLS broke"
    return problem.strerror or str(problem) or type(problem).__name__

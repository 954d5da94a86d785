"""RabbitMQ's management API, for what tests need done quickly: rabbitmqctl takes more than a second a call."""

from __future__ import annotations

import base64
import http.client
import json
from typing import Any
from urllib.parse import quote

from tests.servers.ports import HOST


class Management:
    """Calls to one node's API, as guest; a refusal is an AssertionError with RabbitMQ's words."""

    def __init__(self, port: int) -> None:
        self.port = port

    @property
    def url(self) -> str:
        return f"http://guest:guest@{HOST}:{self.port}"

    def call(self, verb: str, *path: str, body: object = None) -> Any:
        """Make a call; the parts of the path are escaped, the result is the JSON that came back, or None."""
        status, text = self.try_call(verb, *path, body=body)
        assert status < 400, f"{verb} {'/'.join(path)}: {status} {text}"
        return json.loads(text) if text else None

    def try_call(self, verb: str, *path: str, body: object = None) -> tuple[int, str]:
        """Make a call and give what came back, whatever it is."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=30)
        try:
            connection.request(
                verb,
                "/api/" + "/".join(quote(part, safe="") for part in path),
                body=None if body is None else json.dumps(body),
                headers={"Authorization": f"Basic {base64.b64encode(b'guest:guest').decode()}"},
            )
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def is_up(self) -> bool:
        """Tell whether it answers."""
        try:
            return self.try_call("GET", "overview")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

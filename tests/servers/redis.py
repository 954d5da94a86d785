"""A Redis server of our own: plain, TLS and Unix socket at once, with an append-only file that survives SIGKILL."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.servers.absence import program
from tests.servers.authority import Authority
from tests.servers.ports import reserve
from tests.servers.process import run
from tests.servers.server import Server

PACKAGE = "redis-server"
EXECUTABLE = "redis-server"


class RedisServer(Server):
    """One server; `options` go to redis-server's command line, `executable` may be another version, or Valkey."""

    def __init__(
        self, folder: Path, authority: Authority | None, options: Sequence[str] = (), executable: str = EXECUTABLE
    ) -> None:
        super().__init__(folder)
        self.authority = authority
        self.port, self.tls_port = reserve(), reserve()
        self.socket = folder / "socket"
        self._options = options
        self.executable = program(executable, PACKAGE)
        self._cli = program("redis-cli", "redis-tools")

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self.port}/0"

    @property
    def tls_url(self) -> str:
        """For a client that trusts `authority.certificate`."""
        return f"rediss://localhost:{self.tls_port}/0"

    @property
    def socket_url(self) -> str:
        return f"redis+socket://{self.socket}"

    def cli(self, *words: str) -> str:
        """Call redis-cli with a command and give its answer as text; an error is an AssertionError."""
        return run([self._cli, "-e", "-p", str(self.port), *words]).rstrip("\n")

    def prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    def command(self) -> Sequence[str]:
        own = ["--bind", self.host, "--dir", str(self.folder), "--port", str(self.port)]
        # What was answered is with the kernel, so SIGKILL loses nothing; a power loss could lose a second.
        durable = ["--save", "", "--appendonly", "yes", "--appendfsync", "everysec"]
        return [self.executable, *own, *durable, "--unixsocket", str(self.socket), *self._tls(), *self._options]

    def is_ready(self) -> bool:
        try:
            return self.cli("ping") == "PONG"
        except AssertionError:
            return False

    def _tls(self) -> list[str]:
        if self.authority is None:
            return []
        credentials = self.authority.issue("server")
        files = ["--tls-cert-file", str(credentials.certificate), "--tls-key-file", str(credentials.key)]
        trust = ["--tls-ca-cert-file", str(self.authority.certificate), "--tls-auth-clients", "optional"]
        return ["--tls-port", str(self.tls_port), *files, *trust]

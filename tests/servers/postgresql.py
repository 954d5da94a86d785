"""A PostgreSQL server of our own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.servers.absence import Absent
from tests.servers.authority import Authority
from tests.servers.ports import reserve
from tests.servers.process import as_user, give, run
from tests.servers.server import Server

PACKAGE = "postgresql"
OWNER = "postgres"
"""Who runs it if we are root, whom it refuses."""
USER = PASSWORD = "dulse"
VERSIONS = Path("/usr/lib/postgresql")


class PostgreSQL(Server):
    """One server, with a superuser dulse whose password is dulse."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        environment = {**os.environ, "PGPASSWORD": PASSWORD, "LC_ALL": "C.UTF-8"}
        super().__init__(folder, environment=environment, owner=OWNER)
        self.authority = authority
        self.port = reserve()
        self.version, self._programs = _newest()

    def url_of(self, database: str = "postgres", port: int | None = None) -> str:
        """The URL of a database, or by way of a proxy's port."""
        return f"postgresql://{USER}:{PASSWORD}@{self.host}:{port or self.port}/{database}"

    def query(self, statement: str, database: str = "postgres") -> str:
        """Run SQL by psql and give what it prints: rows as lines, columns with | between."""
        where = ["-h", self.host, "-p", str(self.port), "-U", USER, "-d", database]
        command = [str(self._programs / "psql"), "-XqtA", "-v", "ON_ERROR_STOP=1", *where, "-c", statement]
        return run(command, self.environment).rstrip("\n")

    def prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        give(self.folder, OWNER)
        password = self.folder / "password"
        password.write_text(PASSWORD, encoding="ascii")
        password.chmod(0o644)
        account = ["-U", USER, f"--pwfile={password}", "-A", "scram-sha-256"]
        initdb = [str(self._programs / "initdb"), "-D", str(self._data), "--no-sync", "-E", "UTF8", *account]
        run([*as_user(OWNER), *initdb], self.environment)
        for source, name in zip(self.authority.issue("server"), ("server.crt", "server.key"), strict=True):
            target = self._data / name
            shutil.copy(source, target)
            target.chmod(0o600)  # it refuses a key that others could read
            give(target, OWNER)

    def command(self) -> Sequence[str]:
        # A killed process loses nothing of what the kernel has, so nothing needs to reach the disk.
        settings = {"fsync": "off", "ssl": "on", "max_connections": "200", "listen_addresses": self.host}
        given = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        where = ["-D", str(self._data), "-p", str(self.port), "-k", str(self._data)]
        return [str(self._programs / "postgres"), *where, *given]

    def is_ready(self) -> bool:
        try:
            return self.query("SELECT 1") == "1"
        except AssertionError:
            return False

    @property
    def _data(self) -> Path:
        return self.folder / "data"


def _newest() -> tuple[int, Path]:
    versions = [int(path.parent.parent.name) for path in VERSIONS.glob("[0-9]*/bin/postgres")]
    if not versions:
        raise Absent(f"PostgreSQL is not installed (Debian: apt-get install {PACKAGE})")
    return max(versions), VERSIONS / str(max(versions)) / "bin"

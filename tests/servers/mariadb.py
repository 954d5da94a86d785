"""A MariaDB server of our own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.servers.absence import program
from tests.servers.authority import Authority
from tests.servers.ports import reserve
from tests.servers.process import as_user, give, run
from tests.servers.server import Server

PACKAGE = "mariadb-server"
OWNER = "mysql"
"""Who runs it if we are root."""
USER = PASSWORD = "dulse"


class MariaDB(Server):
    """One server, with a user dulse whose password is dulse and who may do everything."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        super().__init__(folder, owner=OWNER)
        self.authority = authority
        self.port = reserve()
        self.socket = folder / "socket"
        self._server = program("mariadbd", PACKAGE)
        self._install = program("mariadb-install-db", PACKAGE)
        self._client = program("mariadb", PACKAGE)

    def url_of(self, database: str = "mysql", port: int | None = None) -> str:
        """The URL of a database, or by way of a proxy's port."""
        return f"mariadb://{USER}:{PASSWORD}@{self.host}:{port or self.port}/{database}"

    def query(self, statement: str, database: str = "mysql") -> str:
        """Run SQL by the mariadb command and give what it prints: rows as lines, columns with tabs between."""
        where = ["-h", self.host, "-P", str(self.port), "-u", USER, f"-p{PASSWORD}", database]
        return run([self._client, "--no-defaults", "-NB", *where, "-e", statement]).rstrip("\n")

    def prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        give(self.folder, OWNER)
        rights = (
            "FLUSH PRIVILEGES;",
            f"CREATE USER {USER}@'%' IDENTIFIED BY '{PASSWORD}';",
            f"GRANT ALL ON *.* TO {USER}@'%' WITH GRANT OPTION;",
        )
        self._accounts.write_text("\n".join(rights) + "\n", encoding="ascii")
        self._accounts.chmod(0o644)
        where = [f"--datadir={self._data}", f"--tmpdir={self.folder}"]
        how = ["--auth-root-authentication-method=normal", "--skip-test-db", f"--extra-file={self._accounts}"]
        run([*as_user(OWNER), self._install, "--no-defaults", *where, *how])

    def command(self) -> Sequence[str]:
        credentials = self.authority.issue("server")
        tls = [f"--ssl-ca={self.authority.certificate}"]
        tls += [f"--ssl-cert={credentials.certificate}", f"--ssl-key={credentials.key}"]
        # In the common place, one that starts deletes the temporary tables of the others.
        where = [
            f"--tmpdir={self.folder}",
            f"--datadir={self._data}",
            f"--bind-address={self.host}",
            f"--port={self.port}",
        ]
        where += [f"--socket={self.socket}", f"--pid-file={self.folder / 'pid'}"]
        # A killed process loses nothing of what the kernel has, so nothing needs to reach the disk.
        quick = ["--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=64M", "--skip-name-resolve"]
        return [self._server, "--no-defaults", *where, *tls, *quick]

    def is_ready(self) -> bool:
        try:
            return self.query("SELECT 1") == "1"
        except AssertionError:
            return False

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _accounts(self) -> Path:
        return self.folder / "accounts.sql"

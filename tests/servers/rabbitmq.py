"""A RabbitMQ node of our own: ports, data, Erlang cookie and epmd that no other node on the machine knows of."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.servers.absence import program
from tests.servers.authority import Authority
from tests.servers.ports import HOST, HOST_6, has_ip_6, reserve
from tests.servers.process import Process, run
from tests.servers.rabbitmq_management import Management
from tests.servers.server import Server

PACKAGE = "rabbitmq-server"
PROGRAMS = Path("/usr/lib/rabbitmq/bin")
"""The programs themselves; those of the same names in /usr/sbin become user rabbitmq first."""

PLUGINS = ("rabbitmq_management", "rabbitmq_auth_mechanism_ssl")
GREETING = b"AMQP\x00\x00\x09\x01"

Policy = dict[str, Any]


class Installation:
    """Where RabbitMQ is found, and how its programs are started; this one is the machine's own."""

    version = "3.10"

    def __init__(self, folder: Path) -> None:
        """Keep the data of all nodes in `folder`, which is made if need be; Absent where it is not installed."""
        self.folder = folder
        self.require()
        folder.mkdir(parents=True, exist_ok=True)

    def require(self) -> None:
        """Raise Absent where it is not installed."""
        program(str(PROGRAMS / "rabbitmq-server"), PACKAGE)
        program("epmd", PACKAGE)

    def command(self, *words: str) -> list[str]:
        """What to start for a program with these arguments."""
        return [program(words[0], PACKAGE), *words[1:]]

    def inside(self, path: Path) -> str:
        """How the programs see one of our paths."""
        return str(path)


class PortMapper:
    """Erlang's epmd, which nodes and rabbitmqctl find each other by; ours, so that the system's is left alone."""

    def __init__(self, installation: Installation) -> None:
        self.port = reserve()
        self.cookie = secrets.token_hex(16)
        self._command = installation.command("epmd", "-address", HOST, "-port", str(self.port))
        self._log = installation.folder / "epmd.log"
        self._process: Process | None = None

    def start(self) -> None:
        """Start it, unless it runs."""
        if self._process is None:
            self._process = Process(self._command, self._log)
            self._process.wait_until(self._answers)

    def kill(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def _answers(self) -> bool:
        try:
            with socket.create_connection((HOST, self.port), 1) as link:
                link.sendall(b"\x00\x01n")  # NAMES_REQ
                return bool(link.recv(4))
        except OSError:
            return False


class RabbitMQ(Server):
    """One node; `management` is its HTTP API. On ready it serves AMQP and that."""

    def __init__(
        self,
        installation: Installation,
        mapper: PortMapper,
        authority: Authority,
        *,
        name: str = "dulse",
        settings: Sequence[str] = (),
    ) -> None:
        super().__init__(installation.folder / name)
        self.installation = installation
        self.authority = authority
        self.node = f"{name}@localhost"
        self.port, self.tls_port = reserve(), reserve()
        self.management, self.management_tls_port = Management(reserve()), reserve()
        self._mapper = mapper
        self._distribution_port = reserve()
        self._settings = settings
        self.environment = self._environment()

    @property
    def url(self) -> str:
        """For guest and the virtual host /."""
        return self.url_of()

    @property
    def tls_url(self) -> str:
        """For a client that trusts `authority.certificate`; it may show one of the same authority."""
        return f"amqps://guest:guest@localhost:{self.tls_port}//"

    def url_of(self, vhost: str = "/", user: str = "guest", password: str = "guest", port: int | None = None) -> str:
        """The URL for another vhost or user, or by way of a proxy's port."""
        credentials = f"{quote(user, safe='')}:{quote(password, safe='')}"
        return f"amqp://{credentials}@{self.host}:{port or self.port}/{quote(vhost, safe='')}"

    def prepare(self) -> None:
        """Write its configuration, and see that epmd runs."""
        self._mapper.start()
        self.folder.mkdir(parents=True)
        self.folder.joinpath("rabbitmq.conf").write_text("\n".join(self._configuration()) + "\n", encoding="ascii")
        self.folder.joinpath("plugins").write_text(f"[{','.join(PLUGINS)}].\n", encoding="ascii")

    def command(self) -> Sequence[str]:
        return self.installation.command(str(PROGRAMS / "rabbitmq-server"))

    def is_ready(self) -> bool:
        return self._greets() and self.management.is_up()

    @contextmanager
    def memory_alarm(self) -> Iterator[None]:
        """Make it block all publishers, as it does when memory is short; it has done so when the block begins."""
        self.ctl("set_vm_memory_high_watermark", "0.0000001")
        try:
            yield
        finally:
            self.ctl("set_vm_memory_high_watermark", "0.4")

    def save_topology(self) -> None:
        """Have it write down what was declared: it takes two seconds for that by itself, and a `kill` would undo it."""
        # Quorum queues have tables of their own: one that was declared less than 5 s before a kill comes back empty.
        self.ctl("eval", "mnesia:sync_log(), [dets:sync(Table) || Table <- dets:all()].")

    def ctl(self, *arguments: str) -> str:
        """Call rabbitmqctl, which takes a second or two, and give what it prints."""
        words = self.installation.command(str(PROGRAMS / "rabbitmqctl"), "-q", "-n", self.node, *arguments)
        return run(words, self.environment)

    def add_vhost(self, name: str) -> str:
        """Make a virtual host in which guest may do everything, and give its URL."""
        self.management.call("PUT", "vhosts", name)
        self.permit("guest", name)
        return self.url_of(name)

    def remove_vhost(self, name: str) -> None:
        """Delete a virtual host with all that is in it."""
        self.management.call("DELETE", "vhosts", name)

    def add_user(self, name: str, password: str, tags: str = "") -> None:
        """Make a user, who may do nothing yet."""
        self.management.call("PUT", "users", name, body={"password": password, "tags": tags})

    def remove_user(self, name: str) -> None:
        """Delete a user."""
        self.management.call("DELETE", "users", name)

    def permit(self, user: str, vhost: str, configure: str = ".*", write: str = ".*", read: str = ".*") -> None:
        """Say what a user may do in a virtual host, by regular expressions over names."""
        body = {"configure": configure, "write": write, "read": read}
        self.management.call("PUT", "permissions", vhost, user, body=body)

    def set_policy(self, name: str, pattern: str, definition: Policy, vhost: str = "/", to: str = "queues") -> None:
        """Set a policy on the queues (or "exchanges", or "all") whose names match."""
        body = {"pattern": pattern, "definition": definition, "apply-to": to}
        self.management.call("PUT", "policies", vhost, name, body=body)

    def remove_policy(self, name: str, vhost: str = "/") -> None:
        """Delete a policy."""
        self.management.call("DELETE", "policies", vhost, name)

    def close_connections(self, reason: str = "test") -> None:
        """Have the broker close every connection in AMQP's own way (320, CONNECTION_FORCED)."""
        self.ctl("close_all_connections", reason)

    def _greets(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), 2) as link:
                link.settimeout(2)
                link.sendall(GREETING)
                return link.recv(1) == b"\x01"  # a method frame: connection.start
        except OSError:
            return False

    def _configuration(self) -> list[str]:
        credentials = self.authority.issue("server")
        inside = self.installation.inside
        tls = {
            "cacertfile": inside(self.authority.certificate),
            "certfile": inside(credentials.certificate),
            "keyfile": inside(credentials.key),
            "verify": "verify_peer",
            "fail_if_no_peer_cert": "false",
        }
        return [
            f"listeners.tcp.1 = {self.host}:{self.port}",
            *([f"listeners.tcp.2 = {HOST_6}:{self.port}"] if has_ip_6() else []),
            f"listeners.ssl.1 = {self.host}:{self.tls_port}",
            *(f"ssl_options.{option} = {value}" for option, value in tls.items()),
            "auth_mechanisms.1 = PLAIN",
            "auth_mechanisms.2 = AMQPLAIN",
            "auth_mechanisms.3 = EXTERNAL",
            "ssl_cert_login_from = common_name",  # a certificate for "name" logs in as user "name"
            f"management.tcp.ip = {self.host}",
            f"management.tcp.port = {self.management.port}",
            f"management.ssl.ip = {self.host}",
            f"management.ssl.port = {self.management_tls_port}",
            *(f"management.ssl.{option} = {tls[option]}" for option in ("cacertfile", "certfile", "keyfile")),
            "collect_statistics_interval = 1000",  # the API's counts are no older than that
            *self._settings,
        ]

    def _environment(self) -> dict[str, str]:
        home = self.installation.inside(self.folder)
        cookie = f"-setcookie {self._mapper.cookie}"
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "HOME": home,
            "ERL_EPMD_PORT": str(self._mapper.port),
            "ERL_EPMD_ADDRESS": self.host,
            "RUNNING_UNDER_SYSTEMD": "true",  # Erlang takes the script's place, so that our child is the broker itself
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_MNESIA_BASE": f"{home}/data",
            "RABBITMQ_LOG_BASE": f"{home}/logs",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": f"{home}/pid",
            "RABBITMQ_CONFIG_FILE": f"{home}/rabbitmq",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{home}/plugins",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"+sbwt none {cookie} -kernel inet_dist_use_interface {{127,0,0,1}}",
            "RABBITMQ_CTL_ERL_ARGS": cookie,
        }

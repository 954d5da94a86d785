"""A RabbitMQ node of our own: ports, data, Erlang cookie and epmd that no other node on the machine knows of."""

from __future__ import annotations

import secrets
import shutil
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.servers.absence import program
from tests.servers.authority import Authority, Credentials
from tests.servers.ports import HOST, reserve
from tests.servers.process import Process, folder, run
from tests.servers.rabbitmq_management import Management

PACKAGE = "rabbitmq-server"
PROGRAMS = Path("/usr/lib/rabbitmq/bin")
"""The programs themselves: those of the same names in /usr/sbin become user rabbitmq first."""

PLUGINS = ("rabbitmq_management", "rabbitmq_auth_mechanism_ssl")
GREETING = b"AMQP\x00\x00\x09\x01"

Policy = dict[str, Any]


class Installation:
    """Where RabbitMQ is found, and how its programs are started; this one is the machine's own."""

    version = "3.10"

    def __init__(self) -> None:
        self.require()
        self.folder = folder()

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

    def remove(self) -> None:
        """Delete the data of all nodes."""
        shutil.rmtree(self.folder, ignore_errors=True)


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

    def stop(self) -> None:
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


class RabbitMQ:
    """One node. It is made stopped, and may be killed and started any number of times on the same ports and data."""

    def __init__(
        self,
        installation: Installation,
        mapper: PortMapper,
        authority: Authority,
        *,
        name: str = "dulse",
        settings: Sequence[str] = (),
    ) -> None:
        self.installation = installation
        self.authority = authority
        self.host = HOST
        self.node = f"{name}@localhost"
        self.port, self.tls_port = reserve(), reserve()
        self.management = Management(reserve())
        self._mapper = mapper
        self._distribution_port = reserve()
        self._folder = installation.folder / name
        self._settings = settings
        self._process: Process | None = None
        self._credentials: Credentials | None = None

    def __repr__(self) -> str:
        return f"<RabbitMQ {self.node} on {self.host}:{self.port}, {self._process!r}>"

    @property
    def url(self) -> str:
        return self.url_of()

    @property
    def tls_url(self) -> str:
        """For a client that trusts `authority.certificate`; it may show one of the same authority."""
        return f"amqps://guest:guest@localhost:{self.tls_port}//"

    def url_of(self, vhost: str = "/", user: str = "guest", password: str = "guest", port: int | None = None) -> str:
        """The URL for another vhost or user, or by way of a proxy's port."""
        credentials = f"{quote(user, safe='')}:{quote(password, safe='')}"
        return f"amqp://{credentials}@{self.host}:{port or self.port}/{quote(vhost, safe='')}"

    @property
    def pid(self) -> int:
        assert self._process is not None, "it is not running"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.is_alive

    def start(self, *, wait: bool = True) -> None:
        """Start it and block until it serves AMQP and its management API."""
        if not self.is_running:
            self._mapper.start()
            self._configure()
            server = self.installation.command(str(PROGRAMS / "rabbitmq-server"))
            self._process = Process(server, self._folder / "log", self._environment())
        if wait:
            self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Block until it serves AMQP and its management API."""
        assert self._process is not None, "it is not running"
        self._process.wait_until(lambda: self._greets() and self.management.is_up())

    def kill(self) -> None:
        """End it by SIGKILL, as a power loss would."""
        if self._process is not None:
            self._process.kill()

    def stop(self) -> None:
        """End it in order."""
        if self._process is not None:
            self._process.stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Freeze it (SIGSTOP): its sockets stay open and nothing answers."""
        assert self._process is not None, "it is not running"
        self._process.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.signal(signal.SIGCONT)

    @contextmanager
    def memory_alarm(self) -> Iterator[None]:
        """Make it block all publishers, as it does when memory is short; it has done so when the block begins."""
        self.ctl("set_vm_memory_high_watermark", "0.0000001")
        try:
            yield
        finally:
            self.ctl("set_vm_memory_high_watermark", "0.4")

    def ctl(self, *arguments: str) -> str:
        """Call rabbitmqctl, which takes a second or two, and give what it prints."""
        words = self.installation.command(str(PROGRAMS / "rabbitmqctl"), "-q", "-n", self.node, *arguments)
        return run(words, self._environment())

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

    def last_words(self) -> str:
        """The end of its log."""
        return self._process.last_words() if self._process is not None else ""

    def _greets(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), 2) as link:
                link.settimeout(2)
                link.sendall(GREETING)
                return link.recv(1) == b"\x01"  # a method frame: connection.start
        except OSError:
            return False

    def _configure(self) -> None:
        if self._credentials is not None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        self._credentials = self.authority.issue("server")
        inside = self.installation.inside
        tls = {
            "cacertfile": inside(self.authority.certificate),
            "certfile": inside(self._credentials.certificate),
            "keyfile": inside(self._credentials.key),
            "verify": "verify_peer",
            "fail_if_no_peer_cert": "false",
        }
        lines = [
            f"listeners.tcp.1 = {self.host}:{self.port}",
            f"listeners.ssl.1 = {self.host}:{self.tls_port}",
            *(f"ssl_options.{option} = {value}" for option, value in tls.items()),
            "auth_mechanisms.1 = PLAIN",
            "auth_mechanisms.2 = AMQPLAIN",
            "auth_mechanisms.3 = EXTERNAL",
            f"management.tcp.ip = {self.host}",
            f"management.tcp.port = {self.management.port}",
            "collect_statistics_interval = 1000",  # the API's counts are no older than that
            *self._settings,
        ]
        (self._folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n", encoding="ascii")
        (self._folder / "plugins").write_text(f"[{','.join(PLUGINS)}].\n", encoding="ascii")

    def _environment(self) -> dict[str, str]:
        home = self.installation.inside(self._folder)
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

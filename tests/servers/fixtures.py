"""The servers as fixtures: each is started when the first test asks for it, and ended with the session.

Tests that ask for one are marked `server` by that, and those that ask for a slow one `slow` as well.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from tests.servers import absence
from tests.servers.authority import Authority
from tests.servers.process import folder
from tests.servers.rabbitmq import Installation, PortMapper, RabbitMQ

SERVERS = {"rabbitmq"}
SLOW_SERVERS: set[str] = set()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by the servers they ask for, before -m chooses."""
    for item in items:
        wanted = set(getattr(item, "fixturenames", ()))
        if wanted & (SERVERS | SLOW_SERVERS):
            item.add_marker(pytest.mark.server)
        if wanted & SLOW_SERVERS:
            item.add_marker(pytest.mark.slow)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count what was skipped for lack of a server."""
    lines = absence.summary(str(report.longrepr) for report in terminalreporter.stats.get("skipped", []))
    if lines:
        terminalreporter.section("servers that are not installed")
        for line in lines:
            terminalreporter.line(line)
        terminalreporter.line("As root on Debian, `python tools/servers.py --install` installs them all.")


@pytest.fixture(scope="session")
def authority() -> Iterator[Authority]:
    """Signs the certificates of all servers of this session."""
    try:
        yield Authority(folder())
    except absence.Absent as why:
        absence.skip_or_fail(why)


@pytest.fixture(scope="session")
def rabbitmq_session(authority: Authority) -> Iterator[RabbitMQ]:
    """The node of this session, as the last test left it; ask for `rabbitmq`."""
    try:
        installation = Installation()
    except absence.Absent as why:
        absence.skip_or_fail(why)
    mapper = PortMapper(installation)
    node = RabbitMQ(installation, mapper, authority)
    try:
        yield node
    finally:
        node.kill()
        mapper.stop()
        installation.remove()


@pytest.fixture
def rabbitmq(rabbitmq_session: RabbitMQ) -> RabbitMQ:
    """A running RabbitMQ 3.10, the same for all tests; one that a test has killed is started again for the next."""
    rabbitmq_session.start()
    return rabbitmq_session


@pytest.fixture
def rabbitmq_vhost(rabbitmq: RabbitMQ) -> Iterator[str]:
    """The name of a fresh virtual host on it, deleted after the test."""
    name = f"test-{secrets.token_hex(4)}"
    rabbitmq.add_vhost(name)
    yield name
    rabbitmq.start()
    rabbitmq.remove_vhost(name)


@pytest.fixture
def rabbitmq_url(rabbitmq: RabbitMQ, rabbitmq_vhost: str) -> str:
    """The URL of the fresh virtual host."""
    return rabbitmq.url_of(rabbitmq_vhost)

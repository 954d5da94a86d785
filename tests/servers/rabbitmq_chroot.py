"""RabbitMQ 4, out of a Debian 13 in the user's cache that root can go into; with deprecated features denied."""

from __future__ import annotations

import os
from pathlib import Path

import servers
from tests.servers.absence import Absent
from tests.servers.authority import Authority
from tests.servers.rabbitmq import Installation, PortMapper, RabbitMQ

DENIED = ("amqp_address_v1", "global_qos", "management_metrics_collection", "queue_master_locator", "ram_node_type")
"""All that RabbitMQ 4.0 lists but one; without the third, the management API has no counts."""

DENY_TRANSIENT_QUEUES = """
    {ok, Permitted} = application:get_env(rabbit, permit_deprecated_features),
    application:set_env(rabbit, permit_deprecated_features, Permitted#{transient_nonexcl_queues => false}),
    rabbit_ff_registry_factory:reset_registry(),
    rabbit_ff_registry_factory:initialize_registry().
"""
"""The one: if a setting denies it, the node now and then takes itself for one that uses it, and refuses to start."""

ENTER = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'


class ChrootInstallation(Installation):
    """Programs run inside; the mount that they need is seen by them alone, and gone with them."""

    version = "4"

    def __init__(self, root: Path, folder: Path) -> None:
        """Keep the data of all nodes in `folder`, which is somewhere in `root`."""
        self.root = root
        super().__init__(folder)

    def require(self) -> None:
        """Do nothing: the root is there."""

    def command(self, *words: str) -> list[str]:
        return ["unshare", "--mount", "sh", "-c", ENTER, str(self.root), *words]

    def inside(self, path: Path) -> str:
        return f"/{path.relative_to(self.root)}"


class DenyingRabbitMQ(RabbitMQ):
    """A node that denies all deprecated features; transient queues from a moment after it has begun to serve."""

    def __init__(self, installation: Installation, mapper: PortMapper, authority: Authority) -> None:
        settings = [f"deprecated_features.permit.{name} = false" for name in DENIED]
        super().__init__(installation, mapper, authority, settings=settings)

    def start(self, *, wait: bool = True) -> None:
        """Start it, unless it runs, and block until it serves, whatever `wait` says."""
        was_running = self.is_running
        super().start()
        if not was_running:
            self.ctl("eval", DENY_TRANSIENT_QUEUES)


def debian_13() -> Path:
    """Its root folder; made if it must be, which takes a minute or two. Absent where that cannot be."""
    if os.geteuid() != 0:
        raise Absent("RabbitMQ 4 needs a chroot, which only root can go into")
    try:
        return servers.rabbitmq_4()
    except servers.CannotInstall as why:
        raise Absent(f"RabbitMQ 4 could not be installed in {servers.RABBITMQ_4}: {why}") from why

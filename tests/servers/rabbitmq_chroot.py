"""RabbitMQ 4, out of a Debian 13 in the user's cache that root can go into; with deprecated features denied."""

from __future__ import annotations

import os
from pathlib import Path

import servers
from tests.servers.absence import Absent
from tests.servers.rabbitmq import Installation

DENIED = (
    "amqp_address_v1",
    "global_qos",
    "management_metrics_collection",
    "queue_master_locator",
    "ram_node_type",
    "transient_nonexcl_queues",
)
"""All that RabbitMQ 4.0 lists; without the third, the management API has no counts."""

DENY_DEPRECATED = [f"deprecated_features.permit.{name} = false" for name in DENIED]

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


def debian_13() -> Path:
    """Its root folder; made if it must be, which takes a minute or two. Absent where that cannot be."""
    if os.geteuid() != 0:
        raise Absent("RabbitMQ 4 needs a chroot, which only root can go into")
    try:
        return servers.rabbitmq_4()
    except servers.CannotInstall as why:
        raise Absent(f"RabbitMQ 4 could not be installed in {servers.RABBITMQ_4}: {why}") from why

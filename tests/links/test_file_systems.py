"""File systems are known by the device of what lies on them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dulse.links import file_systems
from dulse.links.file_systems import kind_in, network_kind

MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 22 0:45 / /mnt/share rw,relatime shared:7 master:1 - nfs4 server:/share rw,vers=4.2
41 22 0:46 / /mnt/windows rw,relatime - cifs //server/share rw
42 22 0:47 / /mnt/ssh rw,nosuid - fuse.sshfs me@host: rw
43 22 0:48 / /mnt/local rw,nosuid - fuse.mergerfs a:b rw
odd line
"""


@pytest.mark.parametrize(
    ("device", "kind"),
    [((254, 0), "ext4"), ((0, 45), "nfs4"), ((0, 47), "fuse.sshfs"), ((0, 48), "fuse.mergerfs"), ((9, 9), "")],
)
def test_a_kind_is_found_by_the_device(device: tuple[int, int], kind: str) -> None:
    assert kind_in(MOUNTS, os.makedev(*device)) == kind


def test_a_local_folder_is_on_no_network(tmp_path: Path) -> None:
    assert network_kind(tmp_path) is None


def test_the_kinds_of_networks_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = file_systems.kind_of(tmp_path.stat().st_dev)
    monkeypatch.setattr(file_systems, "_NETWORK", {kind})

    assert network_kind(tmp_path) == kind != ""

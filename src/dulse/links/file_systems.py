"""Which file system a folder is on, as Linux names it, and whether other machines may change it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

__all__ = ["kind_in", "kind_of", "network_kind"]

_NETWORK: Final = frozenset(
    {
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
    }
    | {"smb3", "smbfs", "vboxsf", "prl_fs"}
    | {f"fuse.{name}" for name in ("ceph", "gcsfuse", "glusterfs", "goofys", "rclone", "s3fs", "smbnetfs", "sshfs")}
    | {"fuse.vmhgfs-fuse", "fuse.juicefs", "fuse.davfs", "davfs"}
)
"""Kinds whose memory, locks and events other machines do not share as they are shared within one."""


def kind_in(mounts: str, device: int) -> str:
    """Find in the text of /proc/self/mountinfo, see proc(5), the kind of a device number; empty: it is not there."""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        kind = after.split()[:1]
        if kind and wanted in before.split()[2:3]:
            return kind[0]
    return ""


def kind_of(device: int) -> str:
    """Name the file system of a device (`st_dev`); empty where the system does not tell."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return kind_in(mounts, device)


def network_kind(folder: str | os.PathLike[str]) -> str | None:
    """Name the kind of network file system that a folder is on, if it is on one. Raises OSError."""
    kind = kind_of(Path(folder).stat().st_dev)
    return kind if kind in _NETWORK else None

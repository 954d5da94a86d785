"""Serves `filesystem:///folder`: a broker in a folder of files, for any number of processes of one machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dulse import errors
from dulse.model.options import VirtualOptions
from dulse.transport import Settings
from dulse.transports.filesystem import FilesystemStorage
from dulse.virtual.driver import in_threads, virtual_driver


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesystemOptions(VirtualOptions):
    """What `filesystem:///folder?…` and `transport_options` take besides."""

    durability: Literal["full", "normal"] = "full"
    """"full": what was published survives a power loss; "normal": the death of every process."""
    waking: Literal["push", "poll"] = "push"
    """How an idle consumer learns of a message: by inotify, or by looking every few milliseconds."""
    on_network: bool = False
    """Allow a network file system, at your own risk: locks and inotify may know nothing of other machines."""


def _storage(settings: Settings, options: FilesystemOptions) -> FilesystemStorage:
    """Find the folder: an absolute path as in a file URL (RFC 8089), or behind a dot a relative one."""
    host, path = settings.parameters.hostname, settings.parameters.virtual_host
    if not path or host not in {None, "localhost", "."}:
        text = "a filesystem URL must name a folder: filesystem:///absolute/folder or filesystem://./relative/folder"
        raise errors.make(errors.InvalidURL, text)
    folder = path if host == "." else f"/{path.lstrip('/')}"
    return FilesystemStorage(folder, options.durability, waking=options.waking, on_network=options.on_network)


DRIVER = virtual_driver("filesystem", FilesystemOptions, _storage, in_threads, driver_version=lambda: "N/A")
"""Makes a transport of a folder."""

"""Serves `filesystem:///folder`: a broker in a folder of files, for any number of processes of one machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Final, Literal

from dulse import errors
from dulse.model.options import VirtualOptions
from dulse.transport import Settings
from dulse.transports.filesystem import FilesystemStorage
from dulse.transports.filesystem.kombu_folders import KombuFolders
from dulse.transports.filesystem.mixed import MixedStorage
from dulse.virtual.driver import in_threads, virtual_driver

_BROKER: Final = ".dulse"
"""The broker's folder where the URL names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesystemOptions(VirtualOptions):
    """What `filesystem:///folder?…` and `transport_options` take besides."""

    durability: Literal["full", "normal"] = "full"
    """"full": what was published survives a power loss; "normal": the death of every process."""
    waking: Literal["push", "poll"] = "push"
    """How an idle consumer learns of a message: by inotify, or by looking every few milliseconds."""
    fleet: Literal["dulse", "mixed"] = "dulse"
    """"mixed": some processes on these folders run Kombu 5; what is published is written as files that they read."""
    data_folder_in: Any = None
    """Kombu's option: from where messages are read. One of this and the next not given is the other."""
    data_folder_out: Any = None
    """Kombu's option: where messages are written; as Kombu's files if it differs from where they are read."""
    store_processed: bool = False
    """Kombu's option: keep a copy of each of its files that was taken."""
    processed_folder: Any = "processed"
    """Kombu's option: where those copies go."""
    control_folder: Any = None
    """Kombu's option; where the URL names no folder, the broker's is made in it."""
    on_network: bool = False
    """Allow a network file system, at your own risk: locks and inotify may know nothing of other machines."""


def _storage(settings: Settings, options: FilesystemOptions) -> FilesystemStorage:
    """Make the storage of the folder that the URL or the options name."""
    incoming = _path(options, "data_folder_in") or _path(options, "data_folder_out")
    root = _folder(settings, options)
    if incoming is None:
        if options.fleet == "mixed":
            text = "fleet='mixed' is for folders of Kombu: name them by data_folder_in and data_folder_out"
            raise errors.make(errors.InvalidArgument, text)
        return FilesystemStorage(root, options.durability, waking=options.waking, on_network=options.on_network)
    processed = _path(options, "processed_folder") if options.store_processed else None
    folders = KombuFolders(incoming, _path(options, "data_folder_out") or incoming, processed)
    writes = options.fleet == "mixed" or folders.incoming != folders.outgoing
    return MixedStorage(
        root, folders, options.durability, writes=writes, waking=options.waking, on_network=options.on_network
    )


def _folder(settings: Settings, options: FilesystemOptions) -> str:
    named = settings.parameters.folder()
    if named is not None:
        return named
    incoming, outgoing = _path(options, "data_folder_in"), _path(options, "data_folder_out")
    one = incoming or outgoing
    if settings.parameters.hostname not in {None, "localhost"} or one is None:
        text = "a filesystem URL must name a folder: filesystem:///absolute/folder or filesystem://./relative/folder"
        raise errors.make(errors.InvalidURL, text)
    control = _path(options, "control_folder")
    if control is None:
        differ = incoming and outgoing and os.path.realpath(incoming) != os.path.realpath(outgoing)
        control = "control" if differ else one  # processes that read and write crosswise have this in common
    return f"{control}/{_BROKER}"


def _path(options: FilesystemOptions, name: str) -> str | None:
    given = getattr(options, name)
    if given is None or (isinstance(given, str | os.PathLike) and os.fspath(given)):
        return None if given is None else os.fsdecode(given)
    raise errors.make(errors.InvalidArgument, f"{name} must be the path of a folder, and not {given!r}")


DRIVER = virtual_driver("filesystem", FilesystemOptions, _storage, in_threads, driver_version=lambda: "N/A")
"""Makes a transport of a folder."""

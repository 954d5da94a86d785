"""The store of `filesystem:///folder`: a broker in a folder, a record a directory entry."""

from dulse.transports.filesystem.storage import FilesystemStorage

__all__ = ["FilesystemStorage"]

"""YAML by the package PyYAML, plain values only, without the constructions that let a short body grow."""

from __future__ import annotations

from functools import cache
from typing import Any

from dulse.codecs.packages import require

__all__ = ["CONTENT_TYPE", "dumps", "loads"]

CONTENT_TYPE = "application/x-yaml"
_EXTRA = "yaml"
_INTEGER = "tag:yaml.org,2002:int"
_MERGE = "tag:yaml.org,2002:merge"
_MAX_DIGITS = 4300  # Python's own limit for decimal integers


def dumps(value: Any) -> str:
    """Write a value that YAML's safe subset knows, dates and bytes among them."""
    text: str = require("yaml", _EXTRA).safe_dump(value)
    return text


def loads(data: bytes | bytearray | memoryview | str) -> Any:
    """Read plain values; no tag of the body creates an object of a class."""
    text = data if isinstance(data, str | bytes) else bytes(data)  # PyYAML takes anything else for a file
    return require("yaml", _EXTRA).load(text, _loader())


@cache
def _loader() -> Any:
    yaml = require("yaml", _EXTRA)

    def flatten_mapping(loader: Any, node: Any) -> None:
        # Merges of merges double a mapping at each level, and no dumper writes them.
        if any(key.tag == _MERGE for key, _ in node.value):
            raise yaml.constructor.ConstructorError(None, None, "merge keys (<<) are not read", node.start_mark)
        yaml.SafeLoader.flatten_mapping(loader, node)

    def construct_integer(loader: Any, node: Any) -> int:
        # 1:1:1:… is one number to the base of 60, and the time to build it grows with the square of its length.
        if len(node.value) > _MAX_DIGITS:
            raise yaml.constructor.ConstructorError(None, None, "integer is too long", node.start_mark)
        number: int = yaml.SafeLoader.construct_yaml_int(loader, node)
        return number

    kind: Any = type("PlainLoader", (yaml.SafeLoader,), {"flatten_mapping": flatten_mapping})
    kind.add_constructor(_INTEGER, construct_integer)
    return kind

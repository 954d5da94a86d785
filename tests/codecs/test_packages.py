"""What is imported when, and what a missing package means."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from dulse import errors
from dulse.codecs import compress, compression, decompress, packages, registry, use_orjson, yaml

LATE = [
    "msgpack",
    "yaml",
    "pickle",
    "orjson",
    "brotli",
    "backports.zstd",
    "lzma",
    "bz2",
    "importlib.metadata",
    "asyncio",
]


def test_nothing_optional_is_imported_with_the_package() -> None:
    script = f"import sys, dulse.codecs; print(*[name for name in {LATE} if name in sys.modules])"

    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == ""


@pytest.fixture
def without_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every optional package look as if it were not installed."""

    def fail(module: str) -> Any:
        raise ModuleNotFoundError(f"No module named {module!r}")

    monkeypatch.setattr(packages, "import_module", fail)
    yaml._loader.cache_clear()


@pytest.mark.usefixtures("without_packages")
@pytest.mark.parametrize("name", ["msgpack", "yaml"])
def test_a_missing_serializer_names_the_extra_to_install(name: str) -> None:
    content_type = registry.name_to_type[name]

    with pytest.raises(errors.SerializerNotInstalled, match=rf'pip install "dulse\[{name}\]"'):
        registry.dumps([1], name)
    with pytest.raises(errors.SerializerNotInstalled, match=rf'pip install "dulse\[{name}\]"'):
        registry.loads(b"1", content_type, "binary", [name])


@pytest.mark.usefixtures("without_packages")
@pytest.mark.parametrize("name", ["brotli", "zstd"])
@pytest.mark.skipif(sys.version_info >= (3, 14), reason="zstd is in the standard library")
def test_a_missing_compression_names_the_extra_to_install(name: str) -> None:
    with pytest.raises(errors.SerializerNotInstalled, match=rf'pip install "dulse\[{name}\]"'):
        compress(b"a", name)
    with pytest.raises(errors.DecodeError, match=rf'pip install "dulse\[{name}\]"'):
        decompress(b"a", name)
    assert f"application/{name}" not in compression.encoders()


@pytest.mark.usefixtures("without_packages")
def test_orjson_that_is_missing_names_the_extra_to_install() -> None:
    with pytest.raises(errors.SerializerNotInstalled, match=r'pip install "dulse\[orjson\]"'):
        use_orjson()

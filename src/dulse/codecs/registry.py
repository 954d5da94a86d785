"""The table of serializers: which one writes under a name, which one reads a content type, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

from dulse import errors
from dulse.codecs import json, msgpack, pickle, plugins, text, yaml
from dulse.codecs.offender import fails, locate, reason
from dulse.codecs.packages import NotInstalled

__all__ = [
    "SerializerRegistry",
    "disable_insecure_serializers",
    "dumps",
    "enable_insecure_serializers",
    "loads",
    "prepare_accept_content",
    "register",
    "registry",
    "unregister",
]

Encoder = Callable[[Any], bytes | str]
Decoder = Callable[[Any], Any]
Body = bytes | bytearray | memoryview | str

_JSON = "application/json"
_TRUSTED = frozenset({text.DATA, "application/text"})  # bytes and text, which no serializer reads
_DANGEROUS = frozenset({pickle.CONTENT_TYPE})  # reading it runs the sender's code
_PLAIN_VALUES = frozenset({_JSON, yaml.CONTENT_TYPE, msgpack.CONTENT_TYPE, pickle.CONTENT_TYPE})
_OWN_WORDS = (errors.SerializationError, errors.SerializerNotInstalled)  # of a registered function, left as they are
_INSECURE = ("pickle", "yaml", "msgpack")


class Encoding(NamedTuple):
    """How a name is written: what goes into the message's properties, and the function."""

    content_type: str
    content_encoding: str
    encoder: Encoder


class SerializerRegistry:
    """Serializers by name and by content type.

    A name writes one content type, and a content type is read by the serializer registered last. Threads
    may write and read at any time; registering is meant for the start of a program. Entry points are
    looked up once, when a name or content type is asked for that is not there.
    """

    def __init__(self) -> None:
        self._encoders: dict[str, Encoding] = {}
        self._decoders: dict[str, Decoder] = {}
        self._disabled: set[str] = set()
        self._default_name = ""
        self._default: Encoding | None = None
        self._failed_plugins: dict[str, str] | None = None
        self.type_to_name: dict[str, str] = {}
        self.name_to_type: dict[str, str] = {}

    def __repr__(self) -> str:
        names = (f"{name} (disabled)" if kind in self._disabled else name for name, kind in self.name_to_type.items())
        return f"<SerializerRegistry of {', '.join(names) or 'nothing'}; default {self._default_name!r}>"

    def register(
        self,
        name: str,
        encoder: Encoder | None,
        decoder: Decoder | None,
        content_type: str,
        content_encoding: str = text.UTF8,
    ) -> None:
        """Add a serializer, or replace the one of that name.

        `encoder` gives bytes, or str that goes out as UTF-8; `decoder` takes bytes, or the str that a caller
        of `loads` passed. With None for one of them it only reads or only writes. What either raises
        reaches the user as EncodeError or DecodeError.
        """
        if decoder is not None:
            self._decoders[content_type] = decoder
        if encoder is not None:
            self._encoders[name] = Encoding(content_type, content_encoding, encoder)
            if name == self._default_name:
                self._default = self._encoders[name]
        self.type_to_name[content_type] = name
        self.name_to_type[name] = content_type

    def unregister(self, name: str) -> None:
        """Take a serializer away; SerializerNotInstalled where there is none of that name."""
        content_type = self.content_type_of(name)
        self._decoders.pop(content_type, None)
        self._encoders.pop(name, None)
        self.type_to_name.pop(content_type, None)
        self.name_to_type.pop(name, None)

    def content_type_of(self, name: str) -> str:
        """Give the content type of a name, as for `accept`; SerializerNotInstalled where nobody registered it."""
        if name not in self.name_to_type and not (self._look_up_plugins() and name in self.name_to_type):
            raise self._unknown(name)
        return self.name_to_type[name]

    def enable(self, name: str) -> None:
        """Read that name or content type where `accept` is not given; without this pickle is never read."""
        self._disabled.discard(name if "/" in name else self.content_type_of(name))

    def disable(self, name: str) -> None:
        """Refuse to read that name or content type, unless `accept` asks for it."""
        self._disabled.add(name if "/" in name else self.content_type_of(name))

    def disable_all_but(self, allowed: Iterable[str]) -> None:
        """Refuse whatever has a decoder now, but for these names or content types."""
        self._disabled.update(self._decoders)
        for name in allowed:
            self.enable(name)

    def dumps(self, data: Any, serializer: str | None = None) -> tuple[str, str, bytes | str]:
        """Write `data` and give content type, content encoding and payload.

        Without a serializer, bytes and text go out as they are (``application/data``, ``text/plain``) and
        everything else by the default one. Raises EncodeError with the path to the value that cannot be
        written, and SerializerNotInstalled.
        """
        if serializer == "raw" and isinstance(data, str):
            encoding = _RAW_TEXT
        elif serializer:
            encoding = self._encoders.get(serializer) or self._find_encoding(serializer)
        elif isinstance(data, bytes):
            return text.DATA, text.BINARY, data
        elif isinstance(data, str):
            encoding = _TEXT
        elif isinstance(data, bytearray | memoryview):
            encoding = _RAW
        else:
            encoding = self._default or self._find_encoding(self._default_name)
        content_type, content_encoding, encoder = encoding
        try:
            return content_type, content_encoding, encoder(data)
        except NotInstalled as error:
            raise errors.make(errors.SerializerNotInstalled, f"writing {content_type} {error}") from error
        except _OWN_WORDS:
            raise
        except Exception as error:
            if fails(encoder, data):
                raise _encode_error(encoding, data, error) from error
            raise  # it is not about the data: a signal's handler raised it in the middle of the encoder

    def loads(
        self,
        data: Body,
        content_type: str | None,
        content_encoding: str | None,
        accept: Collection[str] | None = None,
        force: bool = False,
    ) -> Any:
        """Read a body by its content type.

        `accept` holds the names or content types that may be read; None means all that are not disabled,
        with `force` those as well. ``application/data`` and ``application/text`` always pass and meet no
        serializer. Raises ContentDisallowed, DecodeError (naming the type and the cause), and
        SerializerNotInstalled where an accepted one's package is missing.
        """
        if content_encoding == text.BINARY and content_type == text.DATA and text.DATA not in self._disabled:
            return data if isinstance(data, bytes | str) else bytes(data)
        kind = self.admit(content_type, accept, force)
        decoder = self._decoders.get(kind)
        if decoder is None and kind not in _WITHOUT_SERIALIZER and self._look_up_plugins():
            decoder = self._decoders.get(kind)
        try:
            if decoder is None:
                return text.read(data, kind, content_encoding)
            return decoder(data.tobytes() if isinstance(data, memoryview) else data)
        except NotInstalled as error:
            raise errors.make(errors.SerializerNotInstalled, f"reading {kind} {error}") from error
        except _OWN_WORDS:
            raise
        except Exception as error:
            raise errors.make(
                errors.DecodeError, f"cannot read a body of length {len(data)} as {kind[:100]}: {reason(error)}"
            ) from error

    def admit(
        self,
        content_type: str | None,
        accept: Collection[str] | None = None,
        force: bool = False,
    ) -> str:
        """Give the content type as it is registered, or raise ContentDisallowed if it must not be read."""
        if isinstance(content_type, str) and content_type in self.type_to_name:
            kind = content_type
        else:
            kind = self._canonical(content_type)
        if accept is None:
            if force or kind not in self._disabled:
                return kind
            raise self._disallowed(kind, "it is disabled here; name it in accept, or enable it")
        if kind in _TRUSTED:
            return kind
        if kind not in accept and not self._is_named(kind, accept):
            raise self._disallowed(kind, f"accept has only {', '.join(sorted(accept)) or 'nothing'}")
        if kind in _DANGEROUS and kind in self._disabled:
            words = "it can run any code; if all senders are trusted, enable_insecure_serializers(['pickle']) reads it"
            raise self._disallowed(kind, words)
        return kind

    def _set_default_serializer(self, name: str) -> None:
        self._default = self._encoders.get(name) or self._find_encoding(name)
        self._default_name = name

    def _canonical(self, content_type: Any) -> str:
        if isinstance(content_type, bytes):
            content_type = content_type.decode("latin-1")
        if not content_type:
            return text.DATA
        if not isinstance(content_type, str):
            raise errors.make(errors.DecodeError, f"the content type must be text, not {type(content_type).__name__!r}")
        # Other clients add parameters, as in application/json; charset=utf-8 (RFC 9110 §8.3.1).
        essence = content_type.partition(";")[0].strip().lower()
        return essence if essence in self.type_to_name or essence in _TRUSTED else content_type

    def _is_named(self, kind: str, accept: Iterable[str]) -> bool:
        _refuse_text(accept)
        names = [name for name in accept if "/" not in name]
        if any(name not in self.name_to_type for name in names):
            self._look_up_plugins()
        return any(self.name_to_type.get(name) == kind for name in names)

    def _disallowed(self, kind: str, why: str) -> Exception:
        name = self.type_to_name.get(kind)
        known_as = f" ({name})" if name else ""
        return errors.make(errors.ContentDisallowed, f"refusing to read {kind[:100]!r}{known_as}: {why}")

    def _find_encoding(self, name: str) -> Encoding:
        self.content_type_of(name)
        encoding = self._encoders.get(name)
        if encoding is None:
            raise errors.make(errors.SerializerNotInstalled, f"serializer {name!r} only reads; it has no encoder")
        return encoding

    def _unknown(self, name: str) -> Exception:
        failed = (self._failed_plugins or {}).get(name)
        words = failed or f"there are {', '.join(self.name_to_type) or 'none'}; register() adds one"
        return errors.make(errors.SerializerNotInstalled, f"no serializer is called {name!r}: {words}")

    def _look_up_plugins(self) -> bool:
        """Register what entry points offer, the first time; tell whether this was it."""
        if self._failed_plugins is not None:
            return False
        offers, failures = plugins.find()
        for name, offer in offers.items():
            # What is registered already stays: a message must not change which code reads the next one.
            if name in self.name_to_type:
                continue
            taken = self.type_to_name.get(offer.content_type)
            if taken is None:
                self.register(name, *offer)
            else:
                failures[name] = f"an installed package offers it for {offer.content_type}, which {taken!r} serves"
        self._failed_plugins = failures
        return True


def _refuse_text(accept: object) -> None:
    if isinstance(accept, str) or not isinstance(accept, Iterable):
        text = f"accept takes a list of names or content types, not the {type(accept).__name__} {accept!r}"
        raise errors.make(errors.InvalidArgument, text)


def _encode_error(encoding: Encoding, data: Any, error: Exception) -> Exception:
    if encoding.content_type in _PLAIN_VALUES:
        where = locate(data, encoding.encoder, error)
    else:
        where = f"$: object of type {type(data).__name__!r} ({reason(error)})"
    return errors.make(errors.EncodeError, f"cannot write {encoding.content_type}: {where}")


_RAW = Encoding(text.DATA, text.BINARY, text.write_raw)
_RAW_TEXT = Encoding(text.DATA, text.UTF8, text.write_raw)
_TEXT = Encoding(text.PLAIN, text.UTF8, text.write)
_WITHOUT_SERIALIZER = _TRUSTED | {text.PLAIN}

registry = SerializerRegistry()
"""The registry that connections use."""

dumps = registry.dumps
loads = registry.loads
register = registry.register
unregister = registry.unregister

register("raw", _RAW.encoder, None, _RAW.content_type, _RAW.content_encoding)
register("text", _TEXT.encoder, None, _TEXT.content_type, _TEXT.content_encoding)
register("json", json.dumps, json.loads, _JSON)
register("pickle", pickle.dumps, pickle.loads, pickle.CONTENT_TYPE, text.BINARY)
register("yaml", yaml.dumps, yaml.loads, yaml.CONTENT_TYPE)
register("msgpack", msgpack.dumps, msgpack.loads, msgpack.CONTENT_TYPE, text.BINARY)


def prepare_accept_content(
    content_types: Iterable[str] | None, name_to_type: Mapping[str, str] | None = None
) -> set[str] | None:
    """Turn names into content types, for `accept`; SerializerNotInstalled for a name that nobody registered."""
    if content_types is None:
        return None
    _refuse_text(content_types)
    names = name_to_type or {}
    return {name if "/" in name else names.get(name) or registry.content_type_of(name) for name in content_types}


def enable_insecure_serializers(choices: Iterable[str] | None = _INSECURE) -> None:
    """Read these names or content types (by default pickle, yaml and msgpack) where `accept` is not given."""
    for name in choices or ():
        registry.enable(name)


def disable_insecure_serializers(allowed: Iterable[str] | None = ("json",)) -> None:
    """Read nothing but these names or content types (by default json) where `accept` is not given.

    Writing is not affected.
    """
    registry.disable_all_but(allowed or ())


disable_insecure_serializers()
registry._set_default_serializer("json")  # noqa: SLF001 - private only because Celery reaches it by this name

"""Broker URLs as text: taken apart, put together, and shown without their password.

Stricter than RFC 3986 wherever a lax reading would take a piece of an unescaped password for a host, a path or a
fragment: such a URL is refused, and no error text repeats any part of it but the scheme.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from dulse import errors
from dulse.model.mistakes import listed

_MASK = "**"
_HIGHEST_PORT = 65535
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_SHAPE = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*)://"
    r"(?P<authority>[^/?#]*)(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?(?P<fragment>#.*)?"
)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")
_NO_HOST = re.compile(r"[\s\[\]\\]")
_LITERAL = re.compile(r"\[(?P<address>[^\]]*)\]")
_IPV6 = re.compile(r"[0-9a-f]*:[0-9a-f]*:[0-9a-f:.]*(%[\w.\-~]+)?", re.ASCII)
_PORT = re.compile("[0-9]{1,5}")
_ADVICE = (
    "Percent-encode user names, passwords and virtual hosts: "
    "/ is %2F, @ is %40, # is %23, ? is %3F, : is %3A, ; is %3B, % is %25"
)


class UrlParts(NamedTuple):
    """A URL taken apart, every part decoded; what is absent or empty is None."""

    scheme: str
    hostname: str | None
    port: int | None
    username: str | None
    password: str | None
    path: str | None
    query: Mapping[str, str]

    def __repr__(self) -> str:
        return f"<UrlParts {as_url(*self[:6], sanitize=True)}>"


def url_to_parts(url: str) -> UrlParts:
    """Take a URL apart.

    The path lacks its first slash (`amqp://host//` has the path `/`). Several hosts separated by commas
    stay together in `hostname`, each with its port. Scheme and host are in lower case. Raises InvalidURL, which
    never shows any part of a password.
    """
    shape = _shape(url)
    scheme = shape["scheme"].lower()
    if "@" in shape["authority"]:
        userinfo, _, host = shape["authority"].partition("@")
    else:
        userinfo, host = "", shape["authority"]
    username, _, password = userinfo.partition(":")
    hostname, port = _host_and_port(host, scheme)
    return UrlParts(
        scheme,
        hostname,
        port,
        _decode(username, "user name", scheme) or None,
        _decode(password, "password", scheme) or None,
        _decode((shape["path"] or "")[1:], "path", scheme) or None,
        _query(shape["query"] or "", scheme),
    )


def as_url(
    scheme: str,
    host: str | None = None,
    port: int | None = None,
    user: str | None = None,
    password: str | None = None,
    path: str | None = None,
    query: Mapping[str, str] | None = None,
    *,
    sanitize: bool = False,
    mask: str = _MASK,
) -> str:
    """Put a URL together, percent-encoding every part; `sanitize` shows `mask` in place of the password."""
    userinfo = quote(user or "")
    if password:
        userinfo += ":" + (mask if sanitize else quote(password))
    if userinfo:
        userinfo += "@"
    authority = userinfo + _quote_host(host or "") + (f":{port}" if port is not None else "")
    pairs = "&".join(f"{quote(name)}={quote(value, safe='/')}" for name, value in (query or {}).items())
    return f"{scheme}://{authority}/{quote(path or '', safe='/')}{'?' if pairs else ''}{pairs}"


def sanitize_url(url: str, mask: str = _MASK) -> str:
    """Show a URL, or several separated by semicolons, with `mask` for each password and without queries.

    Never raises: of a URL that cannot be understood only the scheme is shown.
    """
    return ";".join(_sanitized(piece, mask) for piece in url.split(";"))


def maybe_sanitize_url(url: Any, mask: str = _MASK) -> Any:
    """Sanitize what is a URL; give back anything else (None, a bare host name) as it is."""
    return sanitize_url(url, mask) if isinstance(url, str) and "://" in url else url


def split_urls(urls: str | Iterable[str]) -> list[str]:
    """Give the single URLs of `url1;url2`, or of several such texts, in their order; bare host names may be among them.

    Raises InvalidURL when there is none, or when a semicolon seems to belong to a password.
    """
    texts = [urls] if isinstance(urls, str) else listed("the broker", urls, "a URL or a list of them")
    pieces = [piece.strip() for text in texts for piece in text.split(";")]
    found = [piece for piece in pieces if piece]
    if not found:
        raise errors.make(errors.InvalidURL, "No broker URL was given; write one such as amqp://host// or memory://")
    if any("@" in piece and "://" not in piece for piece in found):
        raise errors.make(
            errors.InvalidURL,
            f"A piece between semicolons has an @ and no scheme, as if it were part of a password. {_ADVICE}.",
        )
    return found


def quote(text: str, *, safe: str = "") -> str:
    """Percent-encode everything but letters, digits, `-._~` and what is in `safe` (RFC 3986 §2)."""
    kept = _UNRESERVED.union(safe.encode())
    return "".join(chr(byte) if byte in kept else f"%{byte:02X}" for byte in text.encode())


def check_port(port: int | None) -> None:
    """Raise InvalidURL unless `port` is None or 1 to 65535."""
    if port is not None and not 1 <= port <= _HIGHEST_PORT:
        raise errors.make(errors.InvalidURL, f"Port {port} is out of range: a port is from 1 to {_HIGHEST_PORT}")


def _shape(url: str) -> re.Match[str]:
    if not isinstance(url, str):
        raise errors.make(errors.InvalidURL, f"A broker URL is text, not {type(url).__name__}")
    control = _CONTROL.search(url)
    if control:
        raise _invalid(
            f"Character {control.start() + 1}, U+{ord(control[0]):04X}, is a control character or a surrogate"
        )
    shape = _SHAPE.fullmatch(url)
    if shape is None:
        raise _invalid(f"The text of {len(url)} characters does not begin with a scheme, as amqp:// or sqlite:/// do")
    _refuse_unescaped(shape)
    return shape


def _refuse_unescaped(shape: re.Match[str]) -> None:
    """Refuse what a password with an unescaped delimiter looks like."""
    scheme, authority = shape["scheme"].lower(), shape["authority"]
    if shape["fragment"] is not None:
        raise _invalid(f"It contains a # that is not percent-encoded. {_ADVICE}", scheme)
    if authority.count("@") > 1:
        raise _invalid(f"It contains two @ and should have one, before the host. {_ADVICE}", scheme)
    before, at, _ = ((shape["path"] or "") + "?" + (shape["query"] or "")).partition("@")
    if at and (authority or ":" in before):
        raise _invalid(f"An @ stands behind a / or a ?, which hides where the host begins. {_ADVICE}", scheme)


def _host_and_port(text: str, scheme: str) -> tuple[str | None, int | None]:
    if "," in text:
        for one in text.split(","):
            _host_and_port(one, scheme)
        return _decode(text, "host", scheme).lower(), None
    literal = _LITERAL.match(text)
    name, colon, rest = (literal["address"], "", text[literal.end() :]) if literal else text.partition(":")
    host = _decode(name, "host", scheme).lower()
    if (literal or ":" in host) and not _IPV6.fullmatch(host):
        raise _invalid("The host is not an IPv6 address, and no name has brackets or colons", scheme)
    if _NO_HOST.search(name):
        raise _invalid("The host contains a blank, a bracket or a backslash", scheme)
    return host or None, _port(colon + rest, scheme)


def _port(text: str, scheme: str) -> int | None:
    if text in {"", ":"}:
        return None
    if text[0] != ":" or not _PORT.fullmatch(text[1:]) or not 1 <= int(text[1:]) <= _HIGHEST_PORT:
        raise _invalid(
            f"What follows the host is not a port from 1 to {_HIGHEST_PORT} (an IPv6 address stands in brackets)",
            scheme,
        )
    return int(text[1:])


def _query(text: str, scheme: str) -> dict[str, str]:
    query: dict[str, str] = {}
    for pair in filter(None, text.split("&")):
        name, equals, value = (part.replace("+", " ") for part in pair.partition("="))
        name = _decode(name, "query", scheme)
        if not equals or not name:
            raise _invalid("An option behind the ? is not written as name=value", scheme)
        if name in query:
            raise _invalid(f"The option {name!r} is given twice", scheme)
        query[name] = _decode(value, "query", scheme)
    return query


def _decode(text: str, part: str, scheme: str) -> str:
    """Undo percent-encoding; the name of the part is all that an error tells of it."""
    if _BAD_ESCAPE.search(text):
        raise _invalid(f"The {part} contains a % without two hexadecimal digits behind it. {_ADVICE}", scheme)
    decoded = _ESCAPE.sub(lambda escape: bytes.fromhex(escape[1].decode()), text.encode())
    try:
        plain = decoded.decode()
    except UnicodeDecodeError:
        plain = None  # raised below, as this error would carry the bytes along
    if plain is None:
        raise _invalid(f"The {part} is not UTF-8 when its percent-encoding is undone. {_ADVICE}", scheme)
    if _CONTROL.search(plain):
        raise _invalid(f"The {part} contains a percent-encoded control character", scheme)
    return plain


def _quote_host(host: str) -> str:
    if "," in host:
        return quote(host, safe=",:[]")
    return f"[{quote(host, safe=':')}]" if ":" in host else quote(host)


def _sanitized(piece: str, mask: str) -> str:
    scheme, separator, _ = piece.partition("://")
    if not separator:
        return mask if "@" in piece else piece
    try:
        parts = url_to_parts(piece.strip())
    except ValueError:
        return f"{scheme.strip()}://{mask}"
    return as_url(*parts[:6], sanitize=True, mask=mask)


def _invalid(what: str, scheme: str = "") -> Exception:
    subject = f"The {scheme}:// URL is not valid" if scheme else "The broker URL is not valid"
    return errors.make(errors.InvalidURL, f"{subject}. {what}.")

"""What `ssl=` means for the drivers: TLS, and a certificate that proves who the server is, unless told otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from dulse import errors

__all__ = ["tls_query"]

_ALIASES: Final = {
    "ca": "ca_certs",
    "ca_certs": "ca_certs",
    "cert": "certfile",
    "certfile": "certfile",
    "key": "keyfile",
    "keyfile": "keyfile",
    "cert_reqs": "cert_reqs",
}


def tls_query(ssl: Any, scheme: str) -> dict[str, Any]:
    """Give the driver's arguments for what a user gave as `ssl`; nothing for None and False."""
    if ssl is None or ssl is False:
        return {}
    given: dict[str, Any] = {}
    if isinstance(ssl, Mapping):
        for name, value in ssl.items():
            if name not in _ALIASES:
                text = f"the sql transport's ssl has no {name!r}: it has {', '.join(sorted(set(_ALIASES.values())))}"
                raise errors.make(errors.UnknownOption, text)
            given[_ALIASES[name]] = value
    elif ssl is not True:
        raise errors.make(errors.InvalidArgument, "the sql transport's ssl is True or a mapping of file names")
    is_verified = str(given.get("cert_reqs", "CERT_REQUIRED")).rpartition("_")[2].upper() != "NONE"
    return _mysql(given, is_verified) if "mysql" in scheme or "mariadb" in scheme else _libpq(given, is_verified)


def _libpq(given: Mapping[str, Any], is_verified: bool) -> dict[str, Any]:
    found = {"sslmode": "verify-full" if is_verified else "require"}
    if is_verified:
        found["sslrootcert"] = str(given.get("ca_certs", "system"))
    if "certfile" in given:
        found["sslcert"] = str(given["certfile"])
    if "keyfile" in given:
        found["sslkey"] = str(given["keyfile"])
    return found


def _mysql(given: Mapping[str, Any], is_verified: bool) -> dict[str, Any]:
    import ssl

    context = ssl.create_default_context(cafile=given.get("ca_certs"))
    if not is_verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if "certfile" in given:
        context.load_cert_chain(given["certfile"], given.get("keyfile"))
    return {"ssl": context}

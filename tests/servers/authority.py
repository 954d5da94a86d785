"""A certificate authority for one test run, by the openssl command."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tests.servers.absence import program
from tests.servers.process import run

NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
MAY_SIGN = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
"""Without it, and the identifiers below, Python 3.13 takes no certificate (RFC 5280 §4.2.1)."""
IDENTIFIERS = "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
LOOPBACK = ("DNS:localhost", "IP:127.0.0.1", "IP:::1")


class Credentials(NamedTuple):
    """A certificate and its key, as PEM files that every user of this machine can read: they guard nothing."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates; `certificate` is what a client is to trust. Everything is kept in `folder`."""

    def __init__(self, folder: Path, name: str = "dulse test authority") -> None:
        self._openssl = program("openssl", "openssl")
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.certificate, self._key = folder / "authority.pem", folder / "authority.key"
        subject = ("-subj", f"/CN={name}")
        self._call("req", "-x509", *NEW_KEY, *subject, *MAY_SIGN, "-keyout", self._key, "-out", self.certificate)

    def issue(self, name: str, hosts: Iterable[str] = LOOPBACK, days: int = 30) -> Credentials:
        """Make a certificate for a server or a client of this name; with `days` below 0 it has expired."""
        made = Credentials(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        request, extensions = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        alternatives = ",".join(hosts)
        names = f"subjectAltName={alternatives}\n" if alternatives else ""
        extensions.write_text(f"{IDENTIFIERS}{names}", encoding="ascii")
        self._call("req", *NEW_KEY, "-subj", f"/CN={name}", "-keyout", made.key, "-out", request)
        sign = ("-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial", "-extfile", extensions)
        self._call("x509", "-req", "-in", request, *sign, "-days", days, "-out", made.certificate)
        made.key.chmod(0o644)
        return made

    def _call(self, *arguments: object) -> None:
        run([self._openssl, *map(str, arguments)])

"""TLS as a user asks for it, made into an SSLContext; and what goes wrong with it, in clear words."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from dulse import errors
from dulse.model.options import build, option

_RULES = {rule.name.removeprefix("CERT_"): rule for rule in ssl.VerifyMode}
_ANY_VERSION = {ssl.PROTOCOL_TLS, ssl.PROTOCOL_TLS_CLIENT}
_VERSIONS = ("TLSv1_2", "TLSv1_3")

_EXPIRED, _NOT_YET_VALID = 10, 9
_FOREIGN = frozenset({2, 18, 19, 20, 21})
_OTHER_NAME = frozenset({62, 63, 64})
"""X509_V_ERR_… of OpenSSL's x509_vfy.h."""

_NO_TLS = "{place} does not speak TLS: leave TLS out for that port, or name the port of the broker's TLS listener"
_NO_VERSION = "{place} and we have no version of TLS in common, and ours are 1.2 and newer ({reason})"
_NOT_OURS = "{place} does not accept our certificate ({reason}): check ssl's certfile and keyfile"
_NOT_US = "{place} refuses to speak TLS with us ({reason}): it may want a certificate of ours, or other ciphers"
_REASONS: tuple[tuple[tuple[str, ...], type[errors.ConnectionError], str], ...] = (
    (("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"), errors.ProtocolError, _NO_TLS),
    (("UNSUPPORTED_PROTOCOL", "PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE"), errors.ProtocolError, _NO_VERSION),
    (
        ("ALERT_CERTIFICATE_REQUIRED", "ALERT_BAD_CERTIFICATE", "ALERT_CERTIFICATE_EXPIRED", "ALERT_UNKNOWN_CA"),
        errors.AuthenticationFailed,
        _NOT_OURS,
    ),
    (("ALERT_CERTIFICATE_UNKNOWN", "ALERT_CERTIFICATE_REVOKED"), errors.AuthenticationFailed, _NOT_OURS),
    (("ALERT_HANDSHAKE_FAILURE", "ALERT_ACCESS_DENIED"), errors.AuthenticationFailed, _NOT_US),
)
"""How OpenSSL's word for what went wrong may end, and what that means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsOptions:
    """What `ssl={…}` and the `ssl_…` of a URL may say."""

    ca_certs: str | None = option(None, aliases=("ca_file", "cafile"))
    """A file of certificates to trust instead of the system's."""
    ca_path: str | None = option(None, aliases=("capath",))
    ca_data: str | None = option(None, aliases=("cadata",))
    certfile: str | None = option(None, aliases=("cert_file",))
    """Our own certificate."""
    keyfile: str | None = option(None, aliases=("key_file",))
    keyfile_password: Any = None
    cert_reqs: Any = None
    """ssl.CERT_REQUIRED (the default), or ssl.CERT_NONE to believe whoever answers; by name or number too."""
    check_hostname: bool | None = None
    server_hostname: str | None = option(None, aliases=("sni",))
    """The name that the certificate must be for; by default the host that is connected to."""
    ciphers: str | None = None
    ssl_version: Any = None
    """ssl.PROTOCOL_TLSv1_2 or "TLSv1_3" for that version alone."""


class Tls(NamedTuple):
    """How to speak TLS to a broker."""

    context: ssl.SSLContext
    server_hostname: str | None = None

    def name_for(self, host: str) -> str:
        """Give the name to ask for (SNI), and to find in the certificate."""
        return self.server_hostname or host

    def secured(self, link: socket.socket, host: str) -> ssl.SSLSocket:
        """Shake hands within the timeout of a socket, which is the other's from now on. Raises OSError."""
        link.getpeername()  # of a connection that was reset already, the standard library would lose the descriptor
        return self.context.wrap_socket(link, server_hostname=self.name_for(host))


def tls_from(given: Any) -> Tls | None:
    """Make of the option `ssl` what is needed for TLS; None: plain text.

    True is TLS that checks the chain (against the system's authorities) and the host name. A mapping may say more, see
    TlsOptions; its `context` may be an SSLContext, or a mapping which is joined with it. A bare SSLContext is taken as
    it is. Raises InvalidArgument or UnknownOption, also for files that cannot be read.
    """
    if given is None or given is False:
        return None
    if isinstance(given, ssl.SSLContext):
        return Tls(given)
    if given is True:
        return Tls(_context(TlsOptions()))
    if not isinstance(given, Mapping):
        text = (
            f"the option 'ssl' is True, False, a mapping or an SSLContext, not an object of type {type(given).__name__}"
        )
        raise errors.make(errors.InvalidArgument, text)
    joined = dict(given)
    context = joined.pop("context", None)
    if isinstance(context, ssl.SSLContext):
        rest = build(TlsOptions, joined, of="TLS")
        if joined.keys() - {"server_hostname", "sni"}:
            text = "ssl's 'context' is complete by itself: set what stands beside it on the SSLContext"
            raise errors.make(errors.InvalidArgument, text)
        return Tls(context, rest.server_hostname)
    options = build(TlsOptions, {**(context or {}), **joined}, of="TLS")
    return Tls(_context(options), options.server_hostname)


def _context(options: TlsOptions) -> ssl.SSLContext:
    context = _trusting(options)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _restrict(context, options.ssl_version)
    rule = _rule(options.cert_reqs)
    checks_name = options.check_hostname
    if rule is ssl.CERT_NONE:
        if checks_name:
            text = "ssl's check_hostname needs a certificate that is checked: leave cert_reqs out"
            raise errors.make(errors.InvalidArgument, text)
        context.check_hostname = False
    elif checks_name is not None:
        context.check_hostname = checks_name
    context.verify_mode = rule
    if options.ciphers:
        try:
            context.set_ciphers(options.ciphers)
        except ssl.SSLError:
            text = f"OpenSSL knows none of the ciphers {options.ciphers!r}"
            raise errors.make(errors.InvalidArgument, text) from None
    _show(context, options)
    return context


def _trusting(options: TlsOptions) -> ssl.SSLContext:
    where = options.ca_certs or options.ca_path or "ca_data"
    try:
        return ssl.create_default_context(cafile=options.ca_certs, capath=options.ca_path, cadata=options.ca_data)
    except (OSError, ValueError) as problem:
        text = (
            f"no certificates to trust can be read from {where or 'ca_data'!r}, which must hold PEM: {_words(problem)}"
        )
        raise errors.make(errors.InvalidArgument, text) from None


def _show(context: ssl.SSLContext, options: TlsOptions) -> None:
    """Have a certificate of our own to show."""
    if options.certfile is None:
        if options.keyfile is not None:
            raise errors.make(errors.InvalidArgument, "ssl has a keyfile and no certfile: give both")
        return
    password = options.keyfile_password
    try:
        # Without a password, OpenSSL would ask for it on the terminal.
        context.load_cert_chain(options.certfile, options.keyfile, lambda: "" if password is None else password)
    except (OSError, ValueError, TypeError) as problem:
        text = (
            f"our certificate {options.certfile!r} with the key in {options.keyfile or options.certfile!r} cannot be "
            f"loaded: {_words(problem)}; both must be PEM, belong together, and an encrypted key needs keyfile_password"
        )
        raise errors.make(errors.InvalidArgument, text) from None


def _rule(given: Any) -> ssl.VerifyMode:
    if given is None:
        return ssl.CERT_REQUIRED
    name = given.upper().removeprefix("CERT_") if isinstance(given, str) else None
    if name in _RULES:
        return _RULES[name]
    if isinstance(given, int) and not isinstance(given, bool) and given in set(_RULES.values()):
        return ssl.VerifyMode(given)
    text = "ssl's cert_reqs must be CERT_REQUIRED, CERT_OPTIONAL or CERT_NONE, by name or as the ssl module has them"
    raise errors.make(errors.InvalidArgument, text)


def _restrict(context: ssl.SSLContext, version: Any) -> None:
    if version is None or version in _ANY_VERSION:
        return
    name = version.removeprefix("PROTOCOL_") if isinstance(version, str) else ""
    if version == ssl.PROTOCOL_TLSv1_2:
        name = "TLSv1_2"
    name = name.replace(".", "_")
    if name in {"TLS", "TLS_CLIENT"}:
        return
    if name not in _VERSIONS:
        text = f"ssl_version must be TLS 1.2 or newer ({', '.join(map(repr, _VERSIONS))}): older ones are not safe"
        raise errors.make(errors.InvalidArgument, text)
    context.minimum_version = context.maximum_version = ssl.TLSVersion[name]


def tls_failure(problem: OSError, place: str) -> Exception:
    """Build the error for what the ssl module raised, while connecting to `place` ("host:port") or later.

    A broker that speaks TLS 1.3 refuses our certificate after the handshake, with the first bytes that are read.
    """
    if isinstance(problem, ssl.SSLCertVerificationError):
        return errors.make(errors.CertificateInvalid, _about_certificate(problem, place))
    reason = getattr(problem, "reason", None) or ""
    for endings, kind, text in _REASONS:
        if reason.endswith(endings):
            return errors.make(kind, text.format(place=place, reason=reason))
    return errors.make(errors.ConnectionLost, f"TLS with {place} broke: {_words(problem)}")


def _about_certificate(problem: ssl.SSLCertVerificationError, place: str) -> str:
    whose, code = f"the certificate of {place}", problem.verify_code
    if code == _EXPIRED:
        return f"{whose} has expired: renew it at the broker"
    if code == _NOT_YET_VALID:
        return f"{whose} is not valid yet: check the clocks of both machines"
    if code in _FOREIGN:
        return (
            f"{whose} is signed by nobody whom we trust ({problem.verify_message}): "
            "name the authority's certificate, as in ssl={'ca_certs': '/path/ca.pem'}"
        )
    if code in _OTHER_NAME:
        return (
            f"{whose} is for another name ({problem.verify_message}): connect by a name that is in it, "
            "or say which one it has, as in ssl={'server_hostname': 'name'}"
        )
    return f"{whose} is not valid: {problem.verify_message}"


def _words(problem: BaseException) -> str:
    """Give the words of an error without the file and line of the interpreter's source."""
    if isinstance(problem, ssl.SSLError):
        return problem.reason or "it is not what it should be"
    return getattr(problem, "strerror", None) or str(problem)

"""Where RabbitMQ's management API is, by what is said of the AMQP connection."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote, urlsplit

from dulse import errors
from dulse.links.addresses import Place, places
from dulse.links.tls import Tls, tls_from
from dulse.model.parameters import Parameters
from dulse.transports.amqp.management_http import Credentials, ManagementApi
from dulse.transports.amqp.options import AmqpOptions

PORT = 15672
TLS_PORT = 15671


def api_from(
    parameters: Parameters, secret: Callable[[], str] | None, options: AmqpOptions, timeout: float
) -> ManagementApi:
    """Find the API: at the broker's own hosts, by TLS where AMQP is by TLS, unless `management_url` says otherwise."""
    tls = tls_from(options.ssl or (True if parameters.transport == "amqps" else None))
    credentials = _credentials(parameters, secret, options)
    if options.management_url is not None:
        return _named(options.management_url, credentials, tls, timeout)
    port = options.management_port or (PORT if tls is None else TLS_PORT)
    hosts = [Place(place.host, port) for place in places(parameters.hostname, None, port)]
    return ManagementApi(hosts, credentials, tls=tls, timeout=timeout)


def _credentials(parameters: Parameters, secret: Callable[[], str] | None, options: AmqpOptions) -> Credentials | None:
    """Give who the AMQP connection is; None where only its certificate says so."""
    if (options.login_method or "").upper() == "EXTERNAL" and parameters.password is None and secret is None:
        return None
    password = "guest" if parameters.password is None else parameters.password
    user = "guest" if parameters.userid is None else parameters.userid
    return Credentials(user, secret or (lambda: password))


def _named(url: str, credentials: Credentials | None, tls: Tls | None, timeout: float) -> ManagementApi:
    """Take apart a URL, whose user and password win over those of the connection."""
    wrong = "the option management_url must be like https://host:15671, with a path or a user if need be"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise errors.make(errors.InvalidArgument, wrong) from None
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment:
        raise errors.make(errors.InvalidArgument, wrong)
    if parts.username is not None:
        password = unquote(parts.password or "")
        credentials = Credentials(unquote(parts.username), lambda: password)
    is_tls = parts.scheme == "https"
    place = Place(host, port or (TLS_PORT if is_tls else PORT))
    chosen = (tls or tls_from(True)) if is_tls else None
    return ManagementApi([place], credentials, tls=chosen, path=parts.path, timeout=timeout)

"""Who serves a URL: drivers by scheme, ours, registered ones, and those of installed packages."""

from __future__ import annotations

from importlib import import_module

from dulse import errors
from dulse.transport import Driver

_AMQP = "dulse.transports.amqp_driver:DRIVER"

_REDIS = "dulse.transports.redis_driver:DRIVER"

_SQL = "dulse.transports.sql_driver:DRIVER"

_schemes: dict[str, str | Driver] = {
    "amqp": _AMQP,
    "amqps": _AMQP,
    "librabbitmq": _AMQP,
    "pyamqp": _AMQP,
    "django": "dulse.transports.django_driver:DRIVER",
    "filesystem": "dulse.transports.filesystem_driver:DRIVER",
    "mariadb": _SQL,
    "memory": "dulse.transports.memory_driver:DRIVER",
    "mysql": _SQL,
    "postgresql": _SQL,
    "redis": _REDIS,
    "redis+cluster": _REDIS,
    "redis+socket": _REDIS,
    "rediss": _REDIS,
    "sentinel": _REDIS,
    "sqla": _SQL,
    "sqlalchemy": _SQL,
    "sqlite": "dulse.transports.sqlite_driver:DRIVER",
}


_extras: dict[str, str] = {
    "django": "django",
    **dict.fromkeys(("mariadb", "mysql", "postgresql", "sqla", "sqlalchemy"), "sql"),
}
"""What has to be installed with dulse for a scheme that needs somebody's client: ``dulse[sql]``."""


def register(scheme: str, driver: str | Driver) -> None:
    """Serve a URL scheme by a driver, given itself or as ``package.module:NAME``."""
    _schemes[scheme] = driver


def schemes() -> list[str]:
    """Name the URL schemes that are served, without looking for installed plug-ins."""
    return sorted(_schemes)


def find_driver(scheme: str) -> Driver:
    """Find who serves a URL scheme: ours, registered, or an entry point of the group ``dulse.transports``.

    `scheme` may also be ``package.module:NAME``. UnknownTransport names the known ones.
    """
    found = _schemes.get(scheme)
    if found is None and ":" in scheme:
        found = scheme
    if found is None:
        found = _installed(scheme)
    if isinstance(found, Driver):
        return found
    module, _, name = found.partition(":")
    try:
        driver = getattr(import_module(module), name)
    except ModuleNotFoundError as missing:
        install = f"'dulse[{_extras[scheme]}]'" if scheme in _extras else missing.name
        text = f"transport {scheme!r} needs the package {missing.name!r}: pip install {install}"
        raise errors.make(errors.UnknownTransport, text) from missing
    if not isinstance(driver, Driver):
        raise errors.make(errors.UnknownTransport, f"{found!r} is not a dulse transport driver")
    return driver


def _installed(scheme: str) -> str:
    import difflib
    from importlib.metadata import entry_points

    for point in entry_points(group="dulse.transports", name=scheme):
        return point.value
    near = difflib.get_close_matches(scheme, _schemes, n=1)
    hint = f", did you mean {near[0]!r}?" if near else "."
    extras: dict[str, list[str]] = {}
    for known, extra in sorted(_extras.items()):
        extras.setdefault(extra, []).append(known)
    needs = "".join(f" For {', '.join(names)}: pip install 'dulse[{extra}]'." for extra, names in extras.items())
    raise errors.make(
        errors.UnknownTransport,
        f"no transport serves {scheme!r}{hint} Known: {', '.join(schemes())}.{needs} "
        "Others come with a package of their own.",
    )

"""Serves `django://`: a broker in a database of a Django project, and in its transactions."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

from dulse import errors
from dulse.model.options import VirtualOptions
from dulse.transport import Settings
from dulse.virtual.driver import virtual_driver
from dulse.virtual.storage import AsyncStorage

if TYPE_CHECKING:
    from dulse.transports.django.storage import DjangoStorage

DEFAULT: Final = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class DjangoOptions(VirtualOptions):
    """What these URLs and `transport_options` take; the database is the project's, with all of its settings."""


def _storage(settings: Settings, options: DjangoOptions) -> DjangoStorage:
    from dulse.transports.django.project import set_up

    parameters = settings.parameters
    if parameters.userid or parameters.password or parameters.port or parameters.virtual_host or parameters.ssl:
        text = "django:// names a database of the project and no more, as in django://default: the rest is in DATABASES"
        raise errors.make(errors.InvalidURL, text)
    set_up()
    from dulse.transports.django.storage import DjangoStorage

    return DjangoStorage(parameters.hostname or DEFAULT, longest_pause=options.polling_interval)


def _bridge(storage: DjangoStorage) -> AsyncStorage:
    from dulse.transports.django.asynchronous import AsyncDjangoStorage

    return AsyncDjangoStorage(storage)


def _version() -> str:
    try:
        return version("django")
    except PackageNotFoundError:
        return "N/A"


DRIVER = virtual_driver("django", DjangoOptions, _storage, _bridge, driver_version=_version)

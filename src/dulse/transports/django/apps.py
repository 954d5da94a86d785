"""The app that a project names in INSTALLED_APPS."""

from __future__ import annotations

from django.apps import AppConfig

__all__ = ["DulseConfig"]


class DulseConfig(AppConfig):
    """The tables of a broker, a page of the admin site to look at it, and a command that cleans up."""

    name = "dulse.transports.django"
    label = "dulse"
    verbose_name = "Messages"
    default_auto_field = "django.db.models.BigAutoField"

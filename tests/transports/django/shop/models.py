"""What the shop remembers."""

from __future__ import annotations

from django.db import models


class Order(models.Model):
    """Something to be sent."""

    what: models.TextField[str, str] = models.TextField()

    class Meta:
        app_label = "shop"

    def __str__(self) -> str:
        return self.what

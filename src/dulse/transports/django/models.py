"""The tables of the broker as models: to look at them, and for Django to know that they are there.

The migration makes them by the statements of the sql transport. `dulse_meta`, which says of which version they are, is
no model, so that `flush` and TransactionTestCase, which empty all tables of models, leave a broker that is empty.
"""

from __future__ import annotations

from django.db import models

__all__ = ["Entry", "Group", "Limited", "Owner", "Publisher", "Queue", "Record", "Uncounted"]


class Queue(models.Model):
    """No table: what permissions and the page of the admin site are named after."""

    name: models.TextField[str, str] = models.TextField(primary_key=True)

    class Meta:
        managed = False
        default_permissions = ("view",)
        permissions = (("move_queue", "Can move messages between queues"), ("purge_queue", "Can purge queues"))

    def __str__(self) -> str:
        """Name it, as the admin site's history does."""
        return self.name


class Record(models.Model):
    """A message in one queue; times are milliseconds since 1970 on the server's clock."""

    id: models.BigAutoField[int, int] = models.BigAutoField(primary_key=True)
    queue: models.TextField[str, str] = models.TextField()
    step: models.BigIntegerField[int, int] = models.BigIntegerField()  # minus the priority: the lowest comes first
    since: models.BigIntegerField[int, int] = models.BigIntegerField()  # when it came into the queue
    dies: models.BigIntegerField[int | None, int | None] = models.BigIntegerField(null=True)
    due: models.BigIntegerField[int | None, int | None] = models.BigIntegerField(null=True)  # when it will be ready
    fresh: models.BigIntegerField[int, int] = models.BigIntegerField()  # 1 if it was never ready
    size: models.BigIntegerField[int, int] = models.BigIntegerField()
    deliveries: models.BigIntegerField[int, int] = models.BigIntegerField()
    owner: models.BigIntegerField[int | None, int | None] = models.BigIntegerField(null=True)  # who has taken it
    token: models.BigIntegerField[int | None, int | None] = models.BigIntegerField(null=True)
    payload: models.BinaryField[bytes, bytes] = models.BinaryField()

    class Meta:
        db_table = "dulse_record"
        default_permissions = ()

    def __str__(self) -> str:
        """Name it as the store does."""
        return f"record {self.pk} in {self.queue}"


class Owner(models.Model):
    """A connected process, which holds records until it dies."""

    id: models.BigAutoField[int, int] = models.BigAutoField(primary_key=True)
    name: models.TextField[str, str] = models.TextField(unique=True)
    expires: models.BigIntegerField[int, int] = models.BigIntegerField()

    class Meta:
        db_table = "dulse_owner"
        default_permissions = ()

    def __str__(self) -> str:
        """Name it."""
        return self.name


class Limited(models.Model):
    """A queue with limits."""

    queue: models.TextField[str, str] = models.TextField(primary_key=True)
    records: models.BigIntegerField[int | None, int | None] = models.BigIntegerField(null=True)
    size: models.BigIntegerField[int | None, int | None] = models.BigIntegerField(null=True)

    class Meta:
        db_table = "dulse_limited"
        default_permissions = ()

    def __str__(self) -> str:
        """Name it."""
        return self.queue


class Uncounted(models.Model):
    """A queue with limits that has got records since it was counted."""

    id: models.BigAutoField[int, int] = models.BigAutoField(primary_key=True)
    queue: models.TextField[str, str] = models.TextField()

    class Meta:
        db_table = "dulse_uncounted"
        default_permissions = ()

    def __str__(self) -> str:
        """Name the queue."""
        return self.queue


class Publisher(models.Model):
    """The number of the last call of a publisher that counts them."""

    name: models.TextField[str, str] = models.TextField(primary_key=True)
    number: models.BigIntegerField[int, int] = models.BigIntegerField()
    seen: models.BigIntegerField[int, int] = models.BigIntegerField()

    class Meta:
        db_table = "dulse_publisher"
        default_permissions = ()

    def __str__(self) -> str:
        """Name it."""
        return self.name


class Group(models.Model):
    """A group of the catalogue and its revision."""

    name: models.TextField[str, str] = models.TextField(primary_key=True)
    revision: models.BigIntegerField[int, int] = models.BigIntegerField()
    since: models.BigIntegerField[int, int] = models.BigIntegerField()

    class Meta:
        db_table = "dulse_group"
        default_permissions = ()

    def __str__(self) -> str:
        """Name it."""
        return self.name


class Entry(models.Model):
    """A value of a group."""

    grp: models.TextField[str, str] = models.TextField()
    digest: models.BinaryField[bytes, bytes] = models.BinaryField(
        primary_key=True
    )  # together with grp, which Django 4.2 cannot say
    name: models.TextField[str, str] = models.TextField()
    value: models.TextField[str, str] = models.TextField()

    class Meta:
        db_table = "dulse_entry"
        default_permissions = ()

    def __str__(self) -> str:
        """Name it."""
        return f"{self.grp}: {self.name}"

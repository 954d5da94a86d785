"""What a process of the shop does until it is killed: it remembers orders, and tells of each by the same commit."""

from __future__ import annotations

import itertools
import os

from django.db import transaction

from dulse import Connection
from tests.faults.programs import say
from tests.transports.django.databases import set_up


def sell(alias: str) -> None:
    """Sell until the end."""
    set_up()
    from tests.transports.django.shop.models import Order

    with Connection(f"django://{alias}") as connection:
        producer = connection.Producer()
        for number in itertools.count():
            what = f"{os.getpid()}:{number}"
            with transaction.atomic(using=alias):
                Order.objects.using(alias).create(what=what)
                producer.publish(what, routing_key="sold")
            if number == 0:
                say("begun")

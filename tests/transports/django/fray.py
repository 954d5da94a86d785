"""The program of `tests.faults.fray` on a Django project: started with a folder that has a file `url`, and a Plan."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from dulse.testing.killing import Failpoint, mortal
from dulse.transport import Driver
from dulse.transports import django_driver
from dulse.virtual.driver import in_threads, virtual_driver
from tests.faults import fray, workers
from tests.transports.django.databases import set_up
from tests.transports.sql.fray import broker_url, die_at_statement


def mortal_driver(_store: str, failpoint: Failpoint) -> Driver:
    """Serve the project's databases by the code that ships, over a storage that dies."""
    return virtual_driver(
        "django",
        django_driver.DjangoOptions,
        lambda settings, options: mortal(django_driver._storage(settings, options), failpoint),
        in_threads,
        driver_version=lambda: "mortal",
    )


if __name__ == "__main__":
    set_up()  # before the forks: who is to die soon shall have begun
    parts = {"broker_url": broker_url, "mortal_driver": mortal_driver, "die_at_statement": die_at_statement}
    for name, part in parts.items():
        setattr(workers, name, part)
    fray.Fray(Path(sys.argv[1]), fray.Plan(**json.loads(sys.argv[2]))).run()

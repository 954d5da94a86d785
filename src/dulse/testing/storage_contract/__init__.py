"""The suite that shows whether a store keeps the Storage contract: subclass `StorageContract` and run pytest.

::

    from dulse.testing.storage_contract import StorageContract

    class TestMyStorage(StorageContract):
        @pytest.fixture(autouse=True)
        def place(self, tmp_path):
            self.path = tmp_path / "store"

        def make_storage(self):
            storage = MyStorage(self.path)
            storage.open(10)
            return storage

The other hooks, for stores that have a clock of their own or keep objects, are in `bench`. What a store's
capabilities do not declare is skipped.
"""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    *(
        f"{__name__}.{module}"
        for module in (
            "bench",
            "catalogue",
            "deadlines",
            "hammering",
            "limits",
            "looking",
            "owning",
            "putting",
            "taking",
            "timing",
            "trimming",
            "waiting",
        )
    )
)

from dulse.testing.storage_contract.catalogue import Catalogue  # noqa: E402 - asserts are rewritten at import
from dulse.testing.storage_contract.deadlines import Deadlines  # noqa: E402 - likewise
from dulse.testing.storage_contract.hammering import Hammering, Oddities  # noqa: E402 - likewise
from dulse.testing.storage_contract.limits import Limits  # noqa: E402 - likewise
from dulse.testing.storage_contract.looking import Looking  # noqa: E402 - likewise
from dulse.testing.storage_contract.owning import Owning, OwningForATime  # noqa: E402 - likewise
from dulse.testing.storage_contract.putting import Putting  # noqa: E402 - likewise
from dulse.testing.storage_contract.taking import Forwarding, Taking  # noqa: E402 - likewise
from dulse.testing.storage_contract.timing import Timing  # noqa: E402 - likewise
from dulse.testing.storage_contract.trimming import Trimming  # noqa: E402 - likewise
from dulse.testing.storage_contract.waiting import Waiting  # noqa: E402 - likewise

__all__ = ["StorageContract"]


class StorageContract(
    Putting,
    Limits,
    Trimming,
    Taking,
    Forwarding,
    Timing,
    Owning,
    OwningForATime,
    Waiting,
    Looking,
    Catalogue,
    Deadlines,
    Oddities,
    Hammering,
):
    """Every promise of `dulse.virtual.storage.Storage` as a test; the hooks to override are those of StorageBench."""

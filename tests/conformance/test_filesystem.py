"""The filesystem transport keeps what the conformance suite asks of it, through both APIs."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Final

import pytest

from dulse.testing.conformance.case import Case
from dulse.testing.conformance.suite import ConformanceSuite

BY_NAME: Final = "files are taken in the order of their names, and ranked among what was taken in"
NO_LIMITS: Final = "no limit holds for files, which Kombu's processes write as well"
UNTAKEN: Final = "the time to live of a file is looked at when somebody takes it"

NOT_KEPT_BY_FILES: Final = MappingProxyType(
    {
        "batches.refused": NO_LIMITS,
        "length_limits.drop_head": NO_LIMITS,
        "length_limits.drop_bytes": NO_LIMITS,
        "length_limits.both_limits": NO_LIMITS,
        "length_limits.reject_publish": NO_LIMITS,
        "length_limits.room_again": NO_LIMITS,
        "length_limits.reject_bytes": NO_LIMITS,
        "length_limits.others_get_theirs": NO_LIMITS,
        "length_limits.batches": NO_LIMITS,
        "length_limits.dropped_to_dead_letters": NO_LIMITS,
        "length_limits.reject_publish_dlx": NO_LIMITS,
        "message_ttl.untouched": UNTAKEN,
        "message_ttl.on_time": UNTAKEN,
        "dead_letters.expired": UNTAKEN,
        "dead_letters.the_first_death": UNTAKEN,
        "dead_letters.circles": UNTAKEN,
        "priorities.high_first": BY_NAME,
        "priorities.none_given": BY_NAME,
        "priorities.put_back": BY_NAME,
        "priorities.each_queue_its_own": BY_NAME,
    }
)
"""Cases, and what stands in docs/filesystem.md of messages that are files."""


class TestFilesystem(ConformanceSuite):
    is_short = True

    @pytest.fixture
    def broker_url(self, tmp_path: Path) -> str:
        return f"filesystem://{tmp_path}/broker"


@pytest.mark.slow
class TestMixedFleet(ConformanceSuite):
    """In Kombu's folders, as files that its processes read."""

    @pytest.fixture
    def broker_url(self, tmp_path: Path) -> str:
        return f"filesystem://{tmp_path}/broker?fleet=mixed&data_folder_in={tmp_path}/data&durability=normal"

    @pytest.fixture(autouse=True)
    def _declare(self, request: pytest.FixtureRequest, case: Case) -> None:
        reason = NOT_KEPT_BY_FILES.get(case.name)
        if reason is not None:
            request.applymarker(pytest.mark.xfail(reason=reason, raises=AssertionError, strict=True))

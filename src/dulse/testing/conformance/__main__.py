"""The command line: run cases against a URL and print what came of each."""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Iterator
from fnmatch import fnmatchcase
from time import monotonic

from dulse import errors
from dulse.testing.conformance.case import Case
from dulse.testing.conformance.catalogue import FORMS, cases
from dulse.testing.conformance.outcome import Outcome
from dulse.testing.conformance.time_limit import Overdue

BROKEN = 1
FAILED_OTHERWISE = 2
"""Exit statuses: a promise is broken; a case raised what neither dulse raises nor a case asserts."""


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m dulse.testing.conformance", description=__doc__)
    parser.add_argument("url", help="a broker, such as sqlite:////tmp/broker.db")
    parser.add_argument("--form", choices=FORMS, help="the blocking API or the asyncio one; by default both")
    parser.add_argument(
        "--only", nargs="+", default=["*"], metavar="NAME", help="these cases, such as 'order*' or leases.max_hold"
    )
    parser.add_argument("--options", type=json.loads, default={}, metavar="JSON", help="transport options")
    parser.add_argument("--quick", action="store_true", help="leave out slow cases")
    return parser.parse_args()


def chosen(given: argparse.Namespace) -> Iterator[Case]:
    """Give the cases to run."""
    for form in (given.form,) if given.form else FORMS:
        for case in cases(form):
            if any(fnmatchcase(case.name, name) for name in given.only) and not (case.slow and given.quick):
                yield case


def attempt(case: Case, url: str, options: dict[str, object]) -> tuple[str, int]:
    """Run a case; gives what came of it and the exit status that follows."""
    try:
        outcome: Outcome = case.run(url, options)
    except (AssertionError, errors.DulseError, Overdue):
        traceback.print_exc()
        return "BROKEN", BROKEN
    except Exception:  # noqa: BLE001 - told, and the next case runs
        traceback.print_exc()
        return "FAILED", FAILED_OTHERWISE
    return f"{outcome.verdict} {outcome.reason and f'({outcome.reason})'}".strip(), 0


def main() -> int:
    """Run the cases that were asked for; the result is the exit status, 3 if there are none."""
    given = arguments()
    statuses: list[int] = []
    for case in chosen(given):
        began = monotonic()
        words, status = attempt(case, given.url, given.options)
        statuses.append(status)
        print(f"{monotonic() - began:6.2f} s  {case.form:4}  {case.name}: {words}", flush=True)  # noqa: T201
    return max(statuses, default=3)


if __name__ == "__main__":
    sys.exit(main())

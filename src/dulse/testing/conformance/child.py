"""The main program of a child process: `python -m dulse.testing.conformance.child FORM PROGRAM JSON`."""

from __future__ import annotations

import faulthandler
import json
import sys
from importlib import import_module

from dulse.testing.conformance.completing import completed
from dulse.testing.conformance.parent import Parent
from dulse.testing.conformance.processes import CHILD_SECONDS


def main(form: str, program: str, given: str) -> None:
    """Run a program of the module `programs` to its end."""
    faulthandler.dump_traceback_later(CHILD_SECONDS, exit=True)
    runner = import_module(f"dulse.testing.conformance.{form}.runner")
    what = json.loads(given)
    completed(runner.run_program(program, Parent(), what["url"], what["options"], what["arguments"]))


if __name__ == "__main__":
    main(*sys.argv[1:4])

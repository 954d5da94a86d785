"""The suite that shows whether a transport keeps dulse's promises, through both APIs, on a real broker.

A *case* is one behaviour, named by its module, which is one promise, and its function. Run all of them against a URL:

    python -m dulse.testing.conformance memory:// --form sync

or from a transport's own tests (see `dulse.testing.conformance.suite`), or one by one:

    for case in cases("aio"):
        print(case.name, case.run("memory://").verdict)

A case asks for the capabilities it needs. Where the transport does not declare one, the case checks instead that its
use raises NotSupported, if there is such a use; else it is left out, and its outcome says so.

The cases of the asyncio API, in `aio`, are the source; those of the blocking one, in `sync`, are generated from them.
"""

from __future__ import annotations

from dulse.testing.conformance.case import Case, case
from dulse.testing.conformance.catalogue import FORMS, Form, cases, promises
from dulse.testing.conformance.outcome import Outcome, Verdict
from dulse.testing.conformance.requirements import REQUIREMENTS, Requirement

__all__ = ["FORMS", "REQUIREMENTS", "Case", "Form", "Outcome", "Requirement", "Verdict", "case", "cases", "promises"]

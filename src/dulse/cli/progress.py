"""A progress bar on stderr, where a person looks at it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, ProgressColumn


@contextmanager
def progress_bar(*columns: ProgressColumn, hidden: bool = False) -> Iterator[Progress]:
    """Show a bar for as long as it takes; where stderr is no terminal, give one that nobody sees."""
    progress = Progress(*columns, console=Console(stderr=True), transient=True)
    if hidden or not sys.stderr.isatty():
        yield progress
        return
    with progress:
        yield progress

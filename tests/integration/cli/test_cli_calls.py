"""How commands are called: help that teaches, exit statuses, one line for what is wrong."""

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from photoapp.cli import main
from support.server import Server


def commands(group: click.Group, *names: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in sorted(group.commands.items()):
        yield (*names, name), command
        if isinstance(command, click.Group):
            yield from commands(command, *names, name)


ALL = dict(commands(main))


@pytest.mark.parametrize("names", ALL, ids=" ".join)
def test_every_command_explains_itself_and_each_of_its_options(names: tuple[str, ...]):
    answer = CliRunner().invoke(main, [*names, "--help"])
    assert answer.exit_code == 0
    command = ALL[names]
    assert command.help
    assert len(command.help) > 40
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{' '.join(names)} {parameter.name}"
    assert all(len(line) <= 100 for line in answer.output.splitlines())


def test_the_commands_are_those_that_the_manual_names():
    assert {" ".join(names) for names, command in ALL.items() if not isinstance(command, click.Group)} == {
        "init", "check", "users create", "users list", "users suspend", "clients create", "clients list",
        "feed rebuild", "jobs list", "jobs retry", "verify", "demo",
    }  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["users", "create", "ada"],
        ["users", "create", "ada", "--email", "a@mail.example", "--password", "x" * 9, "--password-stdin"],
        ["clients", "create"],
        ["clients", "create", "x", "--redirect-uri", "nowhere"],
        ["feed", "rebuild"],
        ["feed", "rebuild", "ada", "--all"],
        ["jobs", "list", "--state", "sleepy"],
        ["jobs", "retry"],
        ["jobs", "retry", "7", "--all-dead"],
        ["verify", "--only", "dreams"],
        ["demo", "--people", "0"],
    ],
    ids=" ".join,
)
def test_a_wrong_call_is_status_2_and_touches_nothing(arguments: list[str], tmp_path: Path):
    answer = CliRunner().invoke(main, ["-c", str(tmp_path / "none.ini"), *arguments])
    assert answer.exit_code == 2
    assert "Usage:" in answer.stderr


def test_an_ini_file_that_is_not_there_is_one_line_and_status_1(tmp_path: Path):
    answer = CliRunner().invoke(main, ["-c", str(tmp_path / "none.ini"), "users", "list"])
    assert answer.exit_code == 1
    assert answer.stderr == f"photoapp: there is no file {tmp_path / 'none.ini'}; name the ini file with -c\n"


def test_a_wrong_setting_is_one_line_and_status_1(tmp_path: Path):
    broken = Server(tmp_path, {"tier.feed.use": "memroy"})
    done = broken.photoapp("users", "list", check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("photoapp: tier.feed.use: no feed tier is called 'memroy'; did you mean memory?")
    assert done.stderr.count("\n") == 1

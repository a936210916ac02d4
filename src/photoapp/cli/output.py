"""What commands print: words or JSON on stdout, everything about the way there on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import IO, Any, TypeVar

import click
from click._termui_impl import ProgressBar

F = TypeVar("F", bound=Callable[..., Any])


class Failure(click.ClickException):
    """The command could not do what it was asked: one line, exit status 1."""

    exit_code = 1

    def show(self, file: IO[Any] | None = None) -> None:
        """``photoapp: ...`` on stderr."""
        click.echo(f"photoapp: {self.message}", file=file, err=file is None)


def json_option(function: F) -> F:
    """``--json`` for what a script reads: one object a line, ids as strings."""
    option = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line, for scripts.")
    return option(function)


def examples(*commands: str) -> str:
    """The end of a help text: commands to copy."""
    return "\b\nExamples:\n" + "\n".join(f"  {command}" for command in commands)


def print_json(value: Mapping[str, Any]) -> None:
    """One object on a line of its own."""
    click.echo(json.dumps(value, ensure_ascii=False, default=str))


def print_table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Rows under their heads, in columns as wide as what stands in them."""
    lines = [list(heads), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def progress(length: int, label: str) -> ProgressBar[int]:
    """A bar on stderr, for people only: a script's log gets none."""
    return click.progressbar(length=length, label=label, file=sys.stderr, hidden=not sys.stderr.isatty())

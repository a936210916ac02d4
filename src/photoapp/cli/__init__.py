"""``photoapp``: the commands of whoever runs an installation. One module per group of commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from photoapp.cli.check import check
from photoapp.cli.clients import clients
from photoapp.cli.demo import demo
from photoapp.cli.feed import feed
from photoapp.cli.init import init
from photoapp.cli.installation import Installation
from photoapp.cli.jobs import jobs
from photoapp.cli.output import Failure
from photoapp.cli.users import users
from photoapp.cli.verify import verify
from photoapp.errors import PhotoappError


class Commands(click.Group):
    """Whatever goes wrong on purpose is one line on stderr and exit status 1, never a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except PhotoappError as error:
            raise Failure(str(error)) from error


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=(
        "\b\nExit status:\n  0  done\n  1  not done, or not all is well; stderr says why in one line\n"
        "  2  the command was called wrongly"
    ),
)
@click.option(
    "-c", "--config", "ini", metavar="INI", default="development.ini", show_default=True,
    type=click.Path(dir_okay=False, path_type=Path), help="The installation's ini file.",
)  # fmt: skip
@click.pass_context
def main(ctx: click.Context, ini: Path) -> None:
    """Run a photoapp installation.

    A new one begins with `init`; `check` says in words what is wrong with one that does not work. Every
    command may run beside the running servers. Settings are overridden by the environment:
    shards.count is PHOTOAPP_SHARDS_COUNT.
    """
    installation = Installation(ini)
    ctx.obj = installation
    ctx.call_on_close(installation.close)


for command in (init, check, users, clients, feed, jobs, verify, demo):
    main.add_command(command)

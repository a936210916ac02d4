"""The installation that an ini file describes, as commands use it: as much of it as a command asks for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import click
import plaster

from photoapp import configure
from photoapp.cli.late import Late
from photoapp.errors import ConfigurationError

WAIT_S = 60.0
"""How long commands wait for the late work they caused, unless told otherwise."""


class Installation:
    """Nothing is read before it is asked for, so that ``--help`` needs no ini file."""

    def __init__(self, ini: Path) -> None:
        self.ini = ini.absolute()
        self._registry: Any = None

    @cached_property
    def settings(self) -> dict[str, str]:
        """The keys of ``[app:main]``; the logging of the ini file is set up too. Raises ``ConfigurationError``."""
        if not self.ini.is_file():
            raise ConfigurationError(f"there is no file {self.ini}; name the ini file with -c")
        defaults = {"here": str(self.ini.parent)}
        try:
            plaster.setup_logging(str(self.ini), defaults)
            return dict(plaster.get_settings(str(self.ini), "app:main", defaults))
        except (plaster.PlasterError, LookupError, ValueError) as error:
            raise ConfigurationError(f"{self.ini}: {error}") from error

    @property
    def registry(self) -> Any:
        """Everything configured and nothing started. Raises ``ConfigurationError``."""
        return self.configured({})

    def configured(self, changes: Mapping[str, str]) -> Any:
        """The registry, made with these settings in place of the ini file's if it is not made yet."""
        if self._registry is None:
            config = configure({"__file__": str(self.ini)}, {**self.settings, **changes})
            self._registry = config.registry
        return self._registry

    @cached_property
    def late(self) -> Late:
        """For changes whose late work the command waits for."""
        return Late(self.registry.work)

    def close(self) -> None:
        """Stop what was started."""
        registry, self._registry = self._registry, None
        if registry is not None:
            registry.tiers.close()
            registry.imaging.close()
            registry.shards.close()


pass_installation = click.make_pass_decorator(Installation)

timeout_option = click.option(
    "--timeout", "timeout_s", metavar="SECONDS", type=click.FloatRange(min=0), default=WAIT_S, show_default=True,
    help="How long to wait until the servers have done what follows.",
)  # fmt: skip

"""Whether every shard has the schema and the identity that this program expects, and making them on a laptop.

The server never imports Alembic: it reads the version rows, and has the migrations run by another process.
"""

from __future__ import annotations

import fcntl
import logging
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from pyramid.config import Configurator
from sqlalchemy import Column, Engine, MetaData, Select, Table, Text, insert, literal, select, union_all
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from photoapp.errors import ConfigurationError
from photoapp.models import Meta
from photoapp.sharding.map import Database, ShardMap
from photoapp.sharding.shards import Shards, is_away

HEAD = "0003"
"""The newest revision in ``alembic/versions``: a test compares. They count up, so they sort as text."""

log = logging.getLogger(__name__)

_STAMP_LOCK = 0
"""No account has this id, so nobody else locks it."""

_VERSION = Table("alembic_version", MetaData(), Column("version_num", Text))


@dataclass(frozen=True, slots=True)
class ShardState:
    """What a shard says of itself. A shard whose tables are not made yet says nothing."""

    shard: int
    database: str
    reachable: bool = True
    revision: str | None = None
    installation: str | None = None
    count: str | None = None
    number: str | None = None
    """The ``shard`` of its meta table: another one's where files or schemas were mixed up."""

    @property
    def is_stamped(self) -> bool:
        """Whether the shard knows who it is."""
        return None not in {self.installation, self.count, self.number}


def includeme(config: Configurator) -> None:
    """Make the schema, where ``shards.create`` says so, or check it.

    ``photoapp.ini`` in the settings is the absolute path of the ini file, if there is one. Raises
    ``ConfigurationError``.
    """
    shards: Shards = config.registry.shards
    ini_path = config.registry.settings.get("photoapp.ini") or "INI"
    if shards.map.settings.create:
        prepare(shards, ini_path)
    else:
        check_schema(shards, ini_path=ini_path)


def inspect_schema(shard_map: ShardMap) -> list[ShardState]:
    """The state of every shard, in order. Makes nothing; a database that is down is asked only once."""
    states = [state for database in shard_map.databases for state in _states(shard_map, database)]
    return sorted(states, key=lambda state: state.shard)


def check_schema(shards: Shards, *, ini_path: str | Path = "INI") -> None:
    """Raises ``ConfigurationError`` if a shard has another schema or belongs to another installation.

    A database that is down is logged: the application starts without it, and its shards answer 503.
    """
    states = inspect_schema(shards.map)
    for database in sorted({state.database for state in states if not state.reachable}):
        log.error("database unreachable", extra={"database": database})
    present = [state for state in states if state.reachable]
    for state in present:
        _check_revision(state, ini_path)
    installation = _installation_of(present)
    for state in present:
        _check_identity(state, shards.count, installation, ini_path)


def stamp_installation(shards: Shards) -> str:
    """Tell every shard which installation it belongs to and which shard it is; what it knows already stays.

    Returns the installation's uuid. Shard 0 decides it, so that two processes that stamp at once agree.

    Raises ``ShardUnavailable`` if a shard is, ``ConfigurationError`` if some belong to another installation.
    """
    installation = _installation_of(inspect_schema(shards.map)) or str(uuid4())
    for shard in range(shards.count):
        identity = {
            "installation": installation,
            "count": str(shards.count),
            "shard": str(shard),
            "state": "active",
        }
        with shards.write(shard) as writer:
            writer.lock(_STAMP_LOCK)
            known: dict[str, str] = {row.key: row.value for row in writer.execute(select(Meta.key, Meta.value))}
            missing = [{"key": key, "value": value} for key, value in identity.items() if key not in known]
            if missing:
                writer.execute(insert(Meta), missing)
        installation = known.get("installation", installation)
    return installation


def prepare(shards: Shards, ini_path: str | Path) -> None:
    """For a laptop: make folders, schema and identity where they are missing, then check everything.

    Processes that start together wait for each other. Raises ``ConfigurationError``.
    """
    with _alone(shards.map):
        states = inspect_schema(shards.map)
        # A database that is down can be neither made nor ruled out: the check says what there is to say.
        if all(state.reachable for state in states):
            if any(state.revision is None or state.revision < HEAD for state in states):
                _upgrade(shards.map, Path(ini_path))
            if not all(state.is_stamped for state in states):
                stamp_installation(shards)
        check_schema(shards, ini_path=ini_path)


def _states(shard_map: ShardMap, database: Database) -> Iterator[ShardState]:
    reachable = True
    for shard in database.shards:
        rows = _rows(database, shard_map.engine_of(shard)) if reachable else None
        reachable = rows is not None
        if rows is None:
            yield ShardState(shard, database.name, reachable=False)
        else:
            yield ShardState(
                shard,
                database.name,
                revision=rows.get("revision"),
                installation=rows.get("installation"),
                count=rows.get("count"),
                number=rows.get("shard"),
            )


def _rows(database: Database, engine: Engine) -> dict[str, str] | None:
    """The version row and the meta rows; nothing where there are no tables; None if the database is away."""
    if database.is_sqlite and not Path(database.url.database or "").exists():
        return {}  # connecting would make the file
    try:
        with engine.connect() as connection:
            return dict(connection.execute(_identity()).all())
    except (DBAPIError, PoolTimeout) as error:
        if _is_unmade(error):
            return {}
        if is_away(error):
            return None
        reason = str(getattr(error, "orig", error)).strip().partition("\n")[0]
        raise ConfigurationError(f"database {database.name} cannot be read: {reason}") from error


def _identity() -> Select[str, str]:
    rows = union_all(select(literal("revision").label("key"), _VERSION.c.version_num), select(Meta.key, Meta.value))
    return select(rows.subquery())


def _is_unmade(error: Exception) -> bool:
    """Whether tables or the schema are missing: for SQLite the one plain error of a right statement."""
    original = getattr(error, "orig", None)
    return getattr(original, "sqlstate", None) in {"42P01", "3F000"} or (
        getattr(original, "sqlite_errorname", None) == "SQLITE_ERROR"
    )


def _check_revision(state: ShardState, ini_path: str | Path) -> None:
    where, upgrade = (
        f"shard {state.shard} in database {state.database}",
        f"alembic -c {ini_path} upgrade head",
    )
    if state.revision is None:
        raise ConfigurationError(f"{where} has no tables: run {upgrade}")
    if state.revision < HEAD:
        raise ConfigurationError(f"{where} has schema {state.revision}, this program needs {HEAD}: run {upgrade}")
    if state.revision > HEAD:
        raise ConfigurationError(
            f"{where} has schema {state.revision}, this program knows {HEAD}: run the release that made it"
        )


def _check_identity(state: ShardState, count: int, installation: str | None, ini_path: str | Path) -> None:
    where = f"shard {state.shard} in database {state.database}"
    if not state.is_stamped:
        raise ConfigurationError(f"{where} belongs to no installation yet: run photoapp -c {ini_path} init")
    if state.count != str(count):
        raise ConfigurationError(f"{where} was made for shards.count = {state.count}, not {count}: it cannot change")
    if state.number != str(state.shard):
        raise ConfigurationError(f"{where} says it is shard {state.number}: correct shards.databases")
    if state.installation != installation:
        raise ConfigurationError(f"{where} belongs to the installation {state.installation}, not {installation}")


def _installation_of(states: Iterable[ShardState]) -> str | None:
    """The one installation that the shards belong to; None before any belongs to one."""
    found: dict[str, ShardState] = {}
    for state in states:
        if state.installation is not None:
            found.setdefault(state.installation, state)
    if len(found) > 1:
        one, other = list(found.values())[:2]
        raise ConfigurationError(
            f"shards {one.shard} and {other.shard} belong to two installations: correct shards.databases"
        )
    return next(iter(found), None)


@contextmanager
def _alone(shard_map: ShardMap) -> Iterator[None]:
    """One process of this machine at a time in the folders of SQLite shards, which are made here.

    PostgreSQL needs none: a migration locks its shard, and ``stamp_installation`` lets shard 0 decide.
    """
    files = [Path(each.url.database or "") for each in shard_map.databases if each.is_sqlite]
    with ExitStack() as stack:
        for folder in sorted({file.parent for file in files}):
            folder.mkdir(parents=True, exist_ok=True)
            fcntl.flock(stack.enter_context((folder / ".prepare.lock").open("w")), fcntl.LOCK_EX)
        yield


def _upgrade(shard_map: ShardMap, ini_path: Path) -> None:
    """Run the migrations on exactly these shards, whatever the environment says by now."""
    settings = shard_map.settings
    done = subprocess.run(  # noqa: S603 - our own words, no shell
        [sys.executable, "-m", "alembic", "-c", str(ini_path), "upgrade", "head"],
        env={
            **os.environ,
            "PHOTOAPP_SHARDS_DATABASES": settings.databases,
            "PHOTOAPP_SHARDS_COUNT": str(settings.count),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.stderr.write(done.stdout)
        reason = done.stdout.strip().rpartition("\n")[2].strip().removeprefix("FAILED: ")
        raise ConfigurationError(f"alembic -c {ini_path} upgrade head failed: {reason}")

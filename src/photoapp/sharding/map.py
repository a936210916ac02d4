"""Which physical database holds which logical shard, and one engine for each (DESIGN 7)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from photoapp.errors import ConfigurationError
from photoapp.sharding.ids import MAX_SHARDS
from photoapp.tiers.breaker import Breaker

_LINE = re.compile(r"(?P<name>[a-z][a-z0-9_]*)\s+(?P<url>\S+)(?:\s+(?P<first>\d+)-(?P<last>\d+))?")


@dataclass(frozen=True, slots=True)
class ShardSettings:
    """Keys under ``shards.``."""

    databases: str
    """A line each: ``NAME URL FIRST-LAST``, PostgreSQL by ``postgresql+psycopg://``, or ``NAME sqlite:///FOLDER`` for
    all shards, a file each."""
    count: int = 4
    """Logical shards; a power of two, fixed when the installation is made."""
    create: bool = False
    """Whether the application makes and upgrades its own schema when it starts. For a laptop."""
    pool_size: int = 8
    """Connections kept per physical database and process; twice as many at a peak."""
    statement_timeout_s: float = 2.0
    lock_timeout_s: float = 1.0
    connect_timeout_s: float = 1.0
    sqlite_synchronous: str = "full"
    """``full``: an acknowledged write survives a power cut. ``normal``: it survives a crash of the process."""
    behind_pgbouncer: bool = False
    """Sends no start-up options and prepares no statements, as transaction pooling needs."""
    password: str = field(default="", repr=False, metadata={"secret": True})
    """For every PostgreSQL URL that has a user and no password, so that ``databases`` need be no secret."""


@dataclass(frozen=True, slots=True)
class Database:
    """One physical database: for PostgreSQL a server's database with a schema per shard, for SQLite one file."""

    name: str
    url: URL
    shards: tuple[int, ...]
    engine: Engine = field(repr=False, compare=False)

    @property
    def is_sqlite(self) -> bool:
        """Whether this is a laptop's file."""
        return self.engine.dialect.name == "sqlite"

    @property
    def breaker(self) -> Breaker | None:
        """What leaves the server alone after failures; a file needs none."""
        return self.engine.get_execution_options().get("photoapp_breaker")


class ShardMap:
    """All databases of the installation. Building it opens no connection."""

    def __init__(self, settings: ShardSettings) -> None:
        count = settings.count
        if count < 1 or count > MAX_SHARDS or count & (count - 1):
            raise ConfigurationError(f"shards.count: {count} is not a power of two between 1 and {MAX_SHARDS}")
        self.count = count
        self.settings = settings
        self.databases: tuple[Database, ...] = tuple(_databases(settings))
        self._by_shard = {shard: database for database in self.databases for shard in database.shards}
        self._engines = {shard: _translated(database, shard) for shard, database in self._by_shard.items()}
        missing = sorted(set(range(count)) - self._by_shard.keys())
        if missing:
            raise ConfigurationError(f"shards.databases: no database holds shard {missing[0]} of {count}")

    def __contains__(self, shard: int) -> bool:
        return shard in self._by_shard

    def database_of(self, shard: int) -> Database:
        """The database that holds a shard. Raises ``KeyError`` for one that the installation does not have."""
        return self._by_shard[shard]

    def engine_of(self, shard: int) -> Engine:
        """An engine whose statements reach the shard's tables; all of a database share one pool."""
        return self._engines[shard]

    def by_database(self, shards: Iterable[int]) -> dict[Database, list[int]]:
        """The shards grouped by the database that holds them, each once, in order."""
        groups: dict[str, tuple[Database, list[int]]] = {}
        for shard in sorted(set(shards)):
            database = self._by_shard[shard]
            groups.setdefault(database.name, (database, []))[1].append(shard)
        return dict(groups.values())

    def close(self) -> None:
        """Close all pools."""
        for database in self.databases:
            database.engine.dispose()


def schema_name(shard: int) -> str:
    """The PostgreSQL schema of a logical shard."""
    return f"shard_{shard:04d}"


def _databases(settings: ShardSettings) -> Iterable[Database]:
    taken: dict[int, str] = {}
    lines = [line.strip() for line in settings.databases.strip().splitlines() if line.strip()]
    if not lines:
        raise ConfigurationError("shards.databases: names no database")
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None:
            raise ConfigurationError(f"shards.databases: {_masked(line)!r} is not NAME URL FIRST-LAST")
        first, last = int(match["first"] or 0), int(match["last"] or settings.count - 1)
        shards = tuple(range(first, last + 1))
        if not shards or last >= settings.count:
            raise ConfigurationError(
                f"shards.databases: {match['name']} holds {first}-{last}, not a range within 0-{settings.count - 1}"
            )
        if match["name"] in taken.values():
            raise ConfigurationError(f"shards.databases: two lines are named {match['name']}")
        for shard in shards:
            if shard in taken:
                both = f"{taken[shard]} and in {match['name']}"
                raise ConfigurationError(f"shards.databases: shard {shard} stands in {both}")
            taken[shard] = match["name"]
        yield from _databases_of(match["name"], match["url"], shards, settings)


def _databases_of(name: str, text: str, shards: tuple[int, ...], settings: ShardSettings) -> Iterable[Database]:
    try:
        url = make_url(text)
    except ArgumentError:
        raise ConfigurationError(f"shards.databases: {name} has no database URL") from None
    if url.drivername == "sqlite":
        folder = Path(url.database or ".").expanduser().resolve()
        for shard in shards:
            file_url = url.set(database=str(folder / f"{schema_name(shard)}.sqlite"))
            yield Database(schema_name(shard), file_url, (shard,), _sqlite_engine(file_url, settings))
    elif url.drivername == "postgresql+psycopg":
        if url.username and url.password is None and settings.password:
            url = url.set(password=settings.password)
        yield Database(name, url, shards, _postgresql_engine(name, url, settings))
    else:
        raise ConfigurationError(
            f"shards.databases: {name} is a {url.drivername}: use sqlite:/// or postgresql+psycopg://"
        )


def _masked(line: str) -> str:
    return re.sub(r"://[^@\s]*@", "://***@", line)


def _translated(database: Database, shard: int) -> Engine:
    if database.is_sqlite:
        return database.engine
    return database.engine.execution_options(schema_translate_map={None: schema_name(shard)})


def _postgresql_engine(name: str, url: URL, settings: ShardSettings) -> Engine:
    try:
        module: Any = import_module("photoapp.sharding.postgresql")  # here, since a laptop needs no driver
    except ModuleNotFoundError:
        raise ConfigurationError("shards.databases: PostgreSQL needs pip install 'photoapp[postgresql]'") from None
    engine: Engine = module.postgresql_engine(name, url, settings)
    return engine


def _sqlite_engine(url: URL, settings: ShardSettings) -> Engine:
    if settings.sqlite_synchronous not in {"full", "normal"}:
        raise ConfigurationError("shards.sqlite_synchronous: neither full nor normal")
    engine = create_engine(
        url,
        connect_args={"timeout": 5.0, "isolation_level": None},
        pool_size=settings.pool_size,
        max_overflow=settings.pool_size,
        pool_timeout=2,
        pool_use_lifo=True,
    )

    def connected(connection: Any, record: Any) -> None:
        del record
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {settings.sqlite_synchronous}")
        connection.execute("PRAGMA cache_size = -1024")

    def begins(connection: Connection) -> None:
        # An upgrade from read to write fails at once when another thread wrote, so a writer takes the lock first. A
        # reader begins nothing: each of its statements is a snapshot of its own.
        if connection.get_execution_options().get("photoapp_writes"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begins)
    return engine

"""Every logical shard gets the one lineage: a transaction and a version row of its own each (DESIGN 7).

A run that stops half-way is finished by running it again: shards that have arrived have nothing left to do.
From the command line the physical PostgreSQL databases are migrated in parallel, by a process each, because
Alembic's ``op`` and ``context`` are global to a process; ``-x database=NAME`` migrates only one of them.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import plaster
from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.operations import MigrationScript
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import JSON, Column, Connection, Index, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateSchema, SchemaItem

from photoapp.errors import ConfigurationError
from photoapp.models import Base
from photoapp.models.base import Utc
from photoapp.settings import parse_settings
from photoapp.sharding.map import Database, ShardMap, ShardSettings, schema_name

PARALLEL = 8
"""Physical databases at a time, so that a large installation does not start a process for each at once."""

MIGRATION_LOCKS = 2
"""The first key of the advisory lock that keeps two runs out of one shard; the second is the shard."""

WAIT_FOR_OTHER_RUN_S = 60


def main() -> None:
    """Run the command on the databases that it is for."""
    if context.is_offline_mode():
        raise CommandError("--sql is not supported: a shard's statements depend on its number and its database")
    shard_map = read_shard_map()
    name = context.get_x_argument(as_dictionary=True).get("database")
    databases = [each for each in shard_map.databases if name in {None, each.name}]
    if not databases:
        raise CommandError(f"-x database={name}: no such database in shards.databases")
    try:
        here, elsewhere = share_out(databases)
        with ThreadPoolExecutor(PARALLEL) as pool:
            others = pool.map(run_in_process, elsewhere)
            failures = [failure for failure in map(migrate_database, here) if failure]
            failures += [failure for failure in others if failure]
    finally:
        shard_map.close()
    if failures:
        raise CommandError("; ".join(failures) + " (run the command again to go on)")


def read_shard_map() -> ShardMap:
    """The shard map of the application's section in the same ini file, the environment's values before it."""
    settings = plaster.get_settings(context.config.config_file_name, "app:main")
    try:
        return ShardMap(parse_settings(ShardSettings, "shards", settings, os.environ))
    except ConfigurationError as error:
        raise CommandError(str(error)) from None


def share_out(databases: list[Database]) -> tuple[list[Database], list[Database]]:
    """The databases for this process, and those to give a process each: PostgreSQL's from the second on.

    A SQLite file takes less time than a process needs to start. Commands that only show something stay in one
    process to keep their lines in order, and a call from Python has no command line to repeat.
    """
    if command_name() not in {"upgrade", "downgrade"}:
        return databases, []
    elsewhere = [each for each in databases if not each.is_sqlite][1:]
    return [each for each in databases if each not in elsewhere], elsewhere


def command_name() -> str:
    """The command on the command line, or nothing in a call from Python."""
    options = context.config.cmd_opts
    return "" if options is None else options.cmd[0].__name__


def run_in_process(database: Database) -> str | None:
    """Repeat this run's command for one database in a process of its own. Returns what failed."""
    config, options = context.config, context.config.cmd_opts
    if options is None or config.config_file_name is None:
        raise CommandError("there is no command line to repeat")
    command = [
        sys.executable,
        "-m",
        "alembic",
        "-c",
        config.config_file_name,
        "-n",
        config.config_ini_section,
    ]
    command += ["-x", f"database={database.name}", command_name(), options.revision]
    done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL)  # noqa: S603 - our own words, no shell
    return None if done.returncode == 0 else f"database {database.name} failed"


def migrate_database(database: Database) -> str | None:
    """Run the command on one database's shards in order, up to the first that fails. Returns what failed."""
    if database.is_sqlite:
        Path(database.url.database or "").parent.mkdir(parents=True, exist_ok=True)
    for shard in database.shards:
        try:
            migrate_shard(database, shard)
        except DBAPIError as error:
            reason = str(error.orig).strip().partition("\n")[0]
            return f"shard {shard} in database {database.name} failed: {reason}"
    return None


def migrate_shard(database: Database, shard: int) -> None:
    """Run the command on one shard, in one transaction."""
    with database.engine.execution_options(photoapp_writes=True).begin() as connection:
        if not database.is_sqlite:
            wait_for_other_runs(connection, shard)
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            transactional_ddl=True,
            render_item=render_item,
            include_object=include_in_sqlite if database.is_sqlite else None,
            process_revision_directives=number_revision,
            shard=shard,
        )
        options = context.get_context().opts
        if "revision_context" in options and shard != 0:
            return  # a new revision is made from the difference between the models and shard 0
        if not database.is_sqlite:
            enter_schema(connection, schema_name(shard), make=not options.get("dont_mutate"))
        before = context.get_context().get_current_revision()
        if command_name() == "current":
            context.config.print_stdout(f"{schema_name(shard)} in database {database.name}:")
        context.run_migrations()
        after = context.get_context().get_current_revision()
        if before != after:
            context.config.print_stdout(f"{schema_name(shard)} in database {database.name}: {before} -> {after}")


def wait_for_other_runs(connection: Connection, shard: int) -> None:
    """Be alone with the shard, then set the time limits of a migration.

    A statement may take as long as its table needs, but may not wait for a lock longer than a request would:
    whoever comes after it waits in line behind it.
    """
    run_time_limit = connection.scalar(select(func.current_setting("lock_timeout")))
    set_locally(connection, "statement_timeout", "0")
    connection.connection.driver_connection.patience_s = math.inf
    set_locally(connection, "idle_in_transaction_session_timeout", "0")
    set_locally(connection, "lock_timeout", f"{WAIT_FOR_OTHER_RUN_S}s")
    connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCKS, shard)))
    # Behind pgbouncer the engine sends no limits of its own.
    set_locally(connection, "lock_timeout", "1s" if run_time_limit == "0" else str(run_time_limit))


def enter_schema(connection: Connection, schema: str, *, make: bool) -> None:
    """Let unqualified names, Alembic's version table too, mean the shard's until the transaction ends."""
    if make:
        connection.execute(CreateSchema(schema, if_not_exists=True))
    set_locally(connection, "search_path", schema)
    connection.dialect.default_schema_name = schema  # what reflection takes an unqualified name for


def set_locally(connection: Connection, name: str, value: str) -> None:
    """``SET LOCAL``, which takes no parameters."""
    connection.execute(select(func.set_config(name, value, True)))


def render_item(kind: str, item: Any, autogen_context: AutogenContext) -> str | Literal[False]:
    """Types of ours by the names that SQLAlchemy has for what they store: a migration imports no models."""
    if kind == "type" and isinstance(item, Utc):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, JSON):
        autogen_context.imports.add("from sqlalchemy.dialects.postgresql import JSONB")
        return 'sa.JSON().with_variant(JSONB(), "postgresql")'
    return False


def include_in_sqlite(
    item: SchemaItem,
    name: str | None,
    kind: str,
    reflected: bool,  # noqa: FBT001 - Alembic passes them by position
    compare_to: SchemaItem | None,
) -> bool:
    """Leave out the comparison that SQLite makes impossible: it does not tell whether an index descends."""
    del name, reflected
    if compare_to is None or kind != "index" or not isinstance(item, Index):
        return True
    return all(isinstance(each, Column) for each in item.expressions)


def number_revision(
    migration: MigrationContext, revision: str | Iterable[str | None], directives: list[MigrationScript]
) -> None:
    """Revisions count up in four digits, so that their order can be read off their names."""
    del migration, revision
    head = ScriptDirectory.from_config(context.config).get_current_head()
    for directive in directives:
        directive.rev_id = f"{int(head or 0) + 1:04d}"


main()

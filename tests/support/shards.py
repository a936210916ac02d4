"""Four shards, migrated for real once and then copied or emptied for each test.

SQLite: four files. PostgreSQL: two databases with two shards each.
"""

import shutil
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

from alembic.config import CommandLine, Config

from photoapp.models import Base
from photoapp.settings import parse_settings
from photoapp.sharding.map import ShardMap, ShardSettings, schema_name
from photoapp.sharding.schema import HEAD, stamp_installation
from photoapp.sharding.shards import Shards
from support.postgres import PostgresServer

ROOT = Path(__file__).parents[2]
"""The checkout."""

COUNT = 4


def write_ini(path: Path, settings: Mapping[str, str], *, script_location: Path = ROOT / "alembic") -> Path:
    """An ini file as an operator writes it, with the sections that the application and Alembic read."""
    lines = ["[alembic]", f"script_location = {script_location}", "", "[app:main]", "use = egg:photoapp"]
    for key, value in settings.items():
        lines.append(f"{key} = " + value.replace("\n", "\n    "))
    path.write_text("\n".join(lines) + "\n")
    return path


def run_alembic(ini: Path, *arguments: str) -> str:
    """What ``alembic -c INI ...`` prints, in this process, which saves the second that a new one needs for imports.

    Raises ``CommandError`` where the command would end with a line about what failed.
    """
    options = CommandLine().parser.parse_args(["-c", str(ini), *arguments])
    printed = StringIO()
    command, positional, named = options.cmd
    command(
        Config(ini, stdout=printed, cmd_opts=options),
        *(getattr(options, name) for name in positional),
        **{name: getattr(options, name, None) for name in named},
    )
    return printed.getvalue()


def sqlite_settings(folder: Path) -> dict[str, str]:
    """The ini file's keys for four shards in a folder."""
    return {
        "shards.databases": f"local sqlite:///{folder}",
        "shards.count": str(COUNT),
        "shards.sqlite_synchronous": "normal",
    }


def postgres_settings(one: str, two: str) -> dict[str, str]:
    """The ini file's keys for four shards in two databases, given by their URLs."""
    return {"shards.databases": f"one {one} 0-1\ntwo {two} 2-3", "shards.count": str(COUNT)}


def open_shards(settings: Mapping[str, str]) -> Shards:
    """What the application makes of the keys."""
    return Shards(ShardMap(parse_settings(ShardSettings, "shards", settings)))


def make_shards(folder: Path, settings: Mapping[str, str]) -> None:
    """Migrate and stamp, as ``photoapp init`` does."""
    run_alembic(write_ini(folder / "make.ini", settings), "upgrade", "head")
    shards = open_shards(settings)
    stamp_installation(shards)
    shards.close()


def empty_postgres(server: PostgresServer, settings: Mapping[str, str]) -> None:
    """Back to freshly made, in 40 ms where new databases from a template would take 340."""
    shards = open_shards(settings)
    for database in shards.map.databases:
        statements = []
        for schema in map(schema_name, database.shards):
            statements += [f"DELETE FROM {schema}.{name}" for name in Base.metadata.tables]
            statements += [f"UPDATE {schema}.alembic_version SET version_num = '{HEAD}'"]
            statements += [f"ALTER SEQUENCE {schema}.last_tick RESTART"]
        server.execute(";".join(statements), database=str(database.url.database))
    stamp_installation(shards)
    shards.close()


def copy_sqlite(template: Path, folder: Path) -> Path:
    """Freshly made files in a new folder."""
    return Path(shutil.copytree(template, folder))

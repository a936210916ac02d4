"""``photoapp check``: whether an installation can work, and in words what keeps it from it."""

from __future__ import annotations

import dataclasses
import io
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click
from PIL import Image
from sqlalchemy import insert, select

from photoapp.cli.installation import Installation, pass_installation
from photoapp.cli.output import Failure, json_option, print_json
from photoapp.cli.probes import WrongError, expect, probe
from photoapp.errors import ConfigurationError, PhotoappError
from photoapp.imaging.pool import ImagingPool
from photoapp.imaging.settings import read_settings
from photoapp.jobs.errors import described
from photoapp.jobs.inspect import lag
from photoapp.models import Meta
from photoapp.settings import parse_settings, value_of
from photoapp.sharding.ids import shard_of
from photoapp.sharding.map import ShardMap, ShardSettings
from photoapp.sharding.schema import check_schema, inspect_schema
from photoapp.sharding.shards import Shards
from photoapp.tiers.registry import CONTRACTS, build_tier, find_plugin, refuse_unknown_kinds


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    name: str
    ok: bool
    said: str
    seconds: float
    look_at: tuple[str, ...] = ()
    """Keys of the ini file."""


class _RollBackError(Exception):
    """Ends a trial transaction."""


@click.command()
@json_option
@pass_installation
def check(installation: Installation, *, as_json: bool) -> None:
    """Try every part, and say in words what is wrong.

    Puts, gets and deletes through every tier, draws an id and writes a row on every shard (and takes it back),
    decodes a picture. Needs no running server, disturbs none, and makes nothing: an empty installation is told
    to run `init`.
    """
    wrong = 0
    for finding in findings(installation):
        wrong += not finding.ok
        if as_json:
            print_json(dataclasses.asdict(finding) | {"seconds": round(finding.seconds, 4)})
            continue
        click.echo(f"{'ok   ' if finding.ok else 'WRONG'}  {finding.name:12}  {finding.said}")
        if finding.look_at:
            click.echo(f"{'':21}look at {', '.join(finding.look_at)}")
    if wrong:
        raise Failure(f"{wrong} of the checks failed")


def findings(installation: Installation) -> Iterator[Finding]:
    """Every check, one after the other; none raises. Raises ``ConfigurationError`` for a file that cannot be read."""
    settings = installation.settings
    yield tried("settings", partial(_kinds_are_known, settings))
    for kind in CONTRACTS:
        yield tried(kind, partial(_tier_works, kind, settings), look_at=partial(_keys_of_tier, kind, settings))
    yield tried("imaging", partial(_picture_is_decoded, settings), look_at=lambda: ("imaging.*",))
    shards_work = True
    for finding in _shard_findings(installation):
        shards_work = shards_work and finding.ok
        yield finding
    if shards_work:
        # With the schema in place this makes nothing, so that even a laptop's installation is only looked at.
        yield tried("application", partial(_application_is_configured, installation))


def tried(name: str, function: Callable[[], str], *, look_at: Callable[[], tuple[str, ...]] = tuple) -> Finding:
    """The finding of one check, whatever it raises."""
    started = time.perf_counter()
    try:
        said = function()
    except ConfigurationError as error:
        return Finding(name, ok=False, said=str(error), seconds=time.perf_counter() - started)
    except Exception as error:  # noqa: BLE001 - whatever is wrong is what was asked for
        return Finding(name, False, reason_of(error), time.perf_counter() - started, look_at())
    return Finding(name, ok=True, said=said, seconds=time.perf_counter() - started)


def reason_of(error: Exception) -> str:
    """One line that says what an engine refused and why."""
    said = str(error) if isinstance(error, WrongError | PhotoappError) else described(error)
    cause = error.__cause__
    return f"{said} ({described(cause)})" if cause is not None else said


def _kinds_are_known(settings: dict[str, str]) -> str:
    refuse_unknown_kinds(settings)
    return f"{len(settings)} read"


def _tier_works(kind: str, settings: dict[str, str]) -> str:
    tier = build_tier(kind, settings, os.environ)
    try:
        return f"{tier.name}: {probe(tier)}"
    finally:
        tier.close()


def _keys_of_tier(kind: str, settings: dict[str, str]) -> tuple[str, ...]:
    """The tier's keys that are set: one of them says where the engine is."""
    use = f"tier.{kind}.use"
    plugin = find_plugin(kind, value_of(use, settings, os.environ) or "")
    keys = [f"tier.{kind}.{field.name}" for field in dataclasses.fields(plugin.Settings)]
    return (use, *(key for key in keys if value_of(key, settings, os.environ) is not None))


def _picture_is_decoded(settings: dict[str, str]) -> str:
    pool = ImagingPool(read_settings(settings))
    picture = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(picture, "JPEG")
    try:
        with tempfile.TemporaryDirectory(prefix="photoapp-check-") as folder:
            path = Path(folder, "picture")
            path.write_bytes(picture.getvalue())
            image = pool.process(path)
    finally:
        pool.close()
    expect((image.width, image.height) == (256, 256), "the picture came back with another size")
    return f"a picture becomes {len(image.renditions)} renditions"


def _shard_findings(installation: Installation) -> Iterator[Finding]:
    parsed: list[Shards] = []

    def parse() -> str:
        settings = parse_settings(ShardSettings, "shards", installation.settings, os.environ)
        parsed.append(Shards(ShardMap(settings)))
        return f"{parsed[0].count} shards in {len(parsed[0].map.databases)} databases"

    yield tried("shard map", parse)
    if not parsed:
        return
    shards = parsed[0]
    databases = lambda: ("shards.databases",)  # noqa: E731 - the shape that ``tried`` takes
    try:
        yield tried("databases", partial(_databases_answer, shards), look_at=databases)
        schema = tried("schema", partial(_schema_is_right, shards, installation.ini))
        yield schema
        if schema.ok:
            yield tried("writing", partial(_shards_take_rows, shards), look_at=databases)
            yield tried("late work", partial(_late_work, shards), look_at=databases)
    finally:
        shards.close()


def _databases_answer(shards: Shards) -> str:
    away = sorted({state.database for state in inspect_schema(shards.map) if not state.reachable})
    expect(not away, f"no answer from {', '.join(away)}: down, refused, or another address")
    return "all answer"


def _schema_is_right(shards: Shards, ini: Path) -> str:
    check_schema(shards, ini_path=ini)
    return "every shard has the tables of this release and knows who it is"


def _shards_take_rows(shards: Shards) -> str:
    for shard in range(shards.count):
        drawn = shards.ids.draw(shard)[0]
        expect(shard_of(drawn) == shard, f"shard {shard} draws ids of shard {shard_of(drawn)}")
        key = f"check {secrets.token_hex(8)}"
        with suppress(_RollBackError), shards.write(shard) as writer:
            writer.execute(insert(Meta).values(key=key, value=datetime.now(UTC).isoformat()))
            raise _RollBackError
        with shards.read(shard) as connection:
            left = connection.execute(select(Meta.key).where(Meta.key == key)).first()
        expect(left is None, f"shard {shard} keeps a row that was taken back")
    return "every shard draws ids and takes rows"


def _late_work(shards: Shards) -> str:
    """Never wrong: with no server running nobody is there to do it."""
    lags = lag(shards)
    dead = sum(each.dead for each in lags.values())
    waiting = sum(each.waiting for each in lags.values())
    oldest_s = max(each.oldest_s for each in lags.values())
    said = f"{waiting} jobs wait, the oldest for {oldest_s:.0f} s" if waiting else "no job waits"
    return f"{said}; {dead} are dead: see photoapp jobs list" if dead else said


def _application_is_configured(installation: Installation) -> str:
    return f"can start with {len(list(installation.registry.handlers))} job handlers"

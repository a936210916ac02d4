"""etc/production.ini says everything once, nothing that nobody reads, and no secret."""

import configparser
import dataclasses
import re
from collections import Counter

import pytest

from photoapp.errors import ConfigurationError
from photoapp.imaging.settings import ImagingSettings
from photoapp.presenters.urls import WebSettings
from photoapp.security import ApiSettings
from photoapp.services.accounts import AccountSettings
from photoapp.services.feeds import FeedSettings
from photoapp.services.passwords import PasswordSettings
from photoapp.settings import parse_settings, variable
from photoapp.sharding.map import ShardMap, ShardSettings
from photoapp.tiers.registry import CONTRACTS, build_tier, find_plugin
from photoapp.views.ops import OpsSettings
from support.shards import ROOT

INI = ROOT / "etc/production.ini"
OWNERS = {
    "web": WebSettings,
    "api": ApiSettings,
    "accounts": AccountSettings,
    "passwords": PasswordSettings,
    "feed": FeedSettings,
    "imaging": ImagingSettings,
    "shards": ShardSettings,
    "ops": OpsSettings,
}
SECRET = re.compile(r"^#! ([\w.]+)$", re.MULTILINE)
"""How the file names a setting whose value is none of its business."""
ENVIRON = {
    "PHOTOAPP_SHARDS_PASSWORD": "geheim",
    "PHOTOAPP_TIER_STORAGE_ACCESS_KEY": "photoapp",
    "PHOTOAPP_TIER_STORAGE_SECRET_KEY": "geheim",
    "PHOTOAPP_TIER_FEED_INSTANCES": "redis://:geheim@127.0.0.1:6379",
    "PHOTOAPP_TIER_SESSION_INSTANCES": "redis://:geheim@127.0.0.1:6379",
    "PHOTOAPP_TIER_QUEUE_URL": "redis://:geheim@127.0.0.1:6379",
}


@pytest.fixture(scope="module")
def settings():
    ini = configparser.RawConfigParser()
    ini.optionxform = str
    ini.read(INI)
    return {key: value for key, value in ini["app:main"].items() if "." in key}


def owners(settings):
    plugins = {f"tier.{kind}": find_plugin(kind, settings[f"tier.{kind}.use"]).Settings for kind in CONTRACTS}
    return {**OWNERS, **plugins}


def test_every_field_of_every_dataclass_stands_there_once_and_nothing_else(settings):
    fields = {f"{prefix}.{each.name}" for prefix, cls in owners(settings).items() for each in dataclasses.fields(cls)}
    fields |= {f"tier.{kind}.use" for kind in CONTRACTS} | {"server.processes"}
    lines = INI.read_text().partition("[server:main]")[0].splitlines()
    written = [line.partition(" =")[0] for line in lines if re.match(r"[\w.]+\.\w+ =", line)]
    named = Counter(written + [match[1] for line in lines if (match := SECRET.fullmatch(line))])
    assert set(named) == fields
    assert [name for name, times in named.items() if times > 1] == []


def test_secrets_are_named_and_have_no_value(settings):
    secret = {
        f"{prefix}.{each.name}"
        for prefix, cls in owners(settings).items()
        for each in dataclasses.fields(cls)
        if not each.repr and each.init
    }
    assert secret == set(SECRET.findall(INI.read_text()))
    assert secret.isdisjoint(settings)


def test_every_value_is_understood(settings):
    for prefix, cls in OWNERS.items():
        parse_settings(cls, prefix, settings, ENVIRON)
    for kind in CONTRACTS:
        build_tier(kind, settings, ENVIRON).close()


def test_values_are_the_defaults_where_no_comment_says_why_not(settings):
    """Copied numbers would stay behind when a default moves."""
    differing = set()
    for prefix, cls in owners(settings).items():
        parsed = parse_settings(cls, prefix, {**settings}, ENVIRON, besides=("use",))
        for each in dataclasses.fields(cls):
            has_default = each.default is not dataclasses.MISSING
            if has_default and f"{prefix}.{each.name}" in settings and getattr(parsed, each.name) != each.default:
                differing.add(f"{prefix}.{each.name}")
    assert differing == {"shards.count", "shards.behind_pgbouncer", "tier.storage.endpoint_url"}


@pytest.mark.parametrize("missing", sorted(set(ENVIRON) - {"PHOTOAPP_SHARDS_PASSWORD"}))
def test_a_secret_that_is_missing_is_named_in_one_line(settings, missing):
    """SEC-67, SEC-69."""
    environ = {name: value for name, value in ENVIRON.items() if name != missing}
    kind = next(kind for kind in CONTRACTS if f"_{kind.upper()}_" in missing)
    with pytest.raises(ConfigurationError) as caught:
        build_tier(kind, settings, environ)
    said = str(caught.value)
    assert "\n" not in said
    assert "geheim" not in said
    assert missing in said or missing.rpartition("STORAGE_")[2].lower() in said


def test_the_password_of_the_shards_reaches_every_database_and_no_message(settings):
    parsed = parse_settings(ShardSettings, "shards", settings, ENVIRON)
    assert "geheim" not in repr(parsed)
    shards = ShardMap(parsed)
    assert {database.url.password for database in shards.databases} == {"geheim"}
    assert "geheim" not in repr(shards.databases)
    shards.close()


def test_the_environments_file_names_every_secret_that_there_is(settings):
    text = (ROOT / "etc/systemd/photoapp.env").read_text()
    for key in SECRET.findall(INI.read_text()):
        assert variable(key) in text


def test_what_the_bouncer_offers_is_what_the_shards_ask_for(settings):
    bouncer = configparser.RawConfigParser()
    bouncer.read(ROOT / "etc/pgbouncer/pgbouncer.ini")
    shards = ShardMap(parse_settings(ShardSettings, "shards", settings, ENVIRON))
    assert {database.url.database for database in shards.databases} == set(bouncer["databases"])
    assert {database.url.port for database in shards.databases} == {bouncer.getint("pgbouncer", "listen_port")}
    shards.close()

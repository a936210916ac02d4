"""Settings: from strings to types, and the one line that says what is wrong."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from photoapp.errors import ConfigurationError
from photoapp.settings import parse_settings, value_of, variable


@dataclass(frozen=True)
class Everything:
    bucket: str
    secret_key: str = field(repr=False, metadata={"secret": True})
    size: int = 3
    wait_s: float = 1.5
    on: bool = False
    folder: Path = Path("/var/photos")
    nodes: tuple[str, ...] = ("a:1",)
    limit: int | None = 5
    region: str | None = None

    def __post_init__(self):
        if self.size > 1000:
            raise ValueError("size must be at most 1000")


REQUIRED = {"tier.storage.bucket": "b", "tier.storage.secret_key": "k"}


def parse(settings=(), environ=None, **keys):
    told = {**REQUIRED, **dict(settings), **{f"tier.storage.{name}": text for name, text in keys.items()}}
    return parse_settings(Everything, "tier.storage", told, environ)


def test_defaults_stand_where_nothing_is_said():
    assert parse() == Everything("b", "k")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("bucket", "  photos ", "photos"),
        ("bucket", "", ""),
        ("size", "-7", -7),
        ("size", "1_000", 1000),
        ("wait_s", "2", 2.0),
        ("wait_s", "0.05", 0.05),
        ("on", "true", True),
        ("on", "Yes", True),
        ("on", "1", True),
        ("on", "off", False),
        ("folder", "/srv/photos", Path("/srv/photos")),
        ("nodes", "a:1 b:2", ("a:1", "b:2")),
        ("nodes", "\n  a:1,\n  b:2\n", ("a:1", "b:2")),
        ("nodes", "", ()),
        ("limit", "9", 9),
        ("limit", "", None),
        ("region", "eu", "eu"),
    ],
)
def test_each_type_is_read(name, text, value):
    parsed = getattr(parse(**{name: text}), name)
    assert (parsed, type(parsed)) == (value, type(value))


def test_a_path_is_made_absolute_and_the_tilde_is_home():
    assert parse(folder="var/photos").folder == Path.cwd() / "var/photos"
    assert parse(folder="~/photos").folder == Path.home() / "photos"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("size", "many", "tier.storage.size: 'many' is not a whole number"),
        ("size", "", "tier.storage.size: '' is not a whole number"),
        ("size", "1.5", "tier.storage.size: '1.5' is not a whole number"),
        ("wait_s", "nan", "tier.storage.wait_s: 'nan' is not a number"),
        ("on", "maybe", "tier.storage.on: 'maybe' is not true or false"),
        ("folder", "", "tier.storage.folder: '' is not a path"),
        ("limit", "x\ny", r"tier.storage.limit: 'x\ny' is not a whole number"),
        ("size", "1001", "tier.storage: size must be at most 1000"),
        ("buckt", "b", "unknown setting tier.storage.buckt; did you mean tier.storage.bucket?"),
        ("on.top", "b", "unknown setting tier.storage.on.top"),
        ("zzz", "b", "unknown setting tier.storage.zzz; known: bucket, folder, limit, nodes, on, "),
    ],
)
def test_what_is_wrong_is_said_in_one_line(name, text, said):
    with pytest.raises(ConfigurationError) as caught:
        parse(**{name: text})
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_a_missing_key_is_named_with_its_variable():
    with pytest.raises(ConfigurationError) as caught:
        parse_settings(Everything, "tier.storage", {"tier.storage.bucket": "b"})
    assert str(caught.value) == (
        "tier.storage.secret_key is missing; set it in the ini file or as PHOTOAPP_TIER_STORAGE_SECRET_KEY"
    )


def test_the_environment_goes_before_the_file():
    parsed = parse(environ={"PHOTOAPP_TIER_STORAGE_SECRET_KEY": "from outside", "PHOTOAPP_SIZE": "9"}, size="4")
    assert (parsed.secret_key, parsed.size) == ("from outside", 4)
    assert variable("api.query_tokens") == "PHOTOAPP_API_QUERY_TOKENS"
    assert value_of("a.b", {"a.b": " 1 "}) == "1"
    assert value_of("a.b", {}) is None


def test_a_secret_is_in_no_repr_and_in_no_message():
    assert "hush" not in repr(parse(secret_key="hush"))

    @dataclass(frozen=True)
    class Pin:
        pin: int = field(repr=False, metadata={"secret": True})

    with pytest.raises(ConfigurationError) as caught:
        parse_settings(Pin, "ops", {"ops.pin": "hush"})
    assert str(caught.value) == "ops.pin: its value is not a whole number"

    @dataclass(frozen=True)
    class Careless:
        key: str = field(metadata={"secret": True})

    with pytest.raises(TypeError, match="repr=False"):
        parse_settings(Careless, "ops", {"ops.key": "hush"})


def test_a_group_sees_its_own_keys_only():
    @dataclass(frozen=True)
    class Feed:
        push_limit: int = 100_000

    told = {"feed.push_limit": "5", "feeds.x": "1", "tier.feed.length": "9", "feed.page": "30", "debug": "1"}
    assert parse_settings(Feed, "feed", told, besides=("page",)) == Feed(5)
    with pytest.raises(ConfigurationError, match=r"unknown setting feed\.page"):
        parse_settings(Feed, "feed", told)

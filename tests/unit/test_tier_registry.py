"""Tiers by name: what the ini file may say, and what is said of what it may not."""

import textwrap

import pytest
from pyramid.config import Configurator

from photoapp.errors import ConfigurationError
from photoapp.tiers import Tiers
from photoapp.tiers.cache.memory import MemoryCache
from photoapp.tiers.feed.memory import MemoryFeed
from photoapp.tiers.queue.local import LocalQueue
from photoapp.tiers.registry import CONTRACTS, build_tier, discover
from photoapp.tiers.session.memory import MemorySession
from photoapp.tiers.storage.local import LocalStorage

KEY = "not a secret, a test"


@pytest.fixture
def settings(tmp_path):
    return {
        "tier.storage.use": "local",
        "tier.storage.folder": str(tmp_path / "photos"),
        "tier.storage.signing_key": KEY,
        "tier.feed.use": "memory",
        "tier.session.use": "memory",
        "tier.cache.use": "memory",
        "tier.queue.use": "local",
        "tier.queue.lock_file": str(tmp_path / "worker.lock"),
    }


@pytest.fixture
def stranger(tmp_path, monkeypatch):
    """Install a package of one module with these entry points, the way an installer leaves it."""

    def install(points, code="", name="stranger"):
        site = tmp_path / f"site-{name}"
        info = site / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(textwrap.dedent(points))
        (site / f"{name}_module.py").write_text(textwrap.dedent(code))
        monkeypatch.syspath_prepend(site)

    return install


def refusal(kind, settings, environ=None):
    with pytest.raises(ConfigurationError) as caught:
        build_tier(kind, settings, environ)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_our_own_plugins_are_found_like_anyones():
    assert {kind: sorted(discover(kind)) for kind in CONTRACTS} == {
        "storage": ["local", "s3"],
        "feed": ["memory", "redis"],
        "session": ["memory", "redis"],
        "cache": ["memcached", "memory"],
        "queue": ["local", "rq"],
    }


def test_a_tier_is_built_of_its_own_settings(settings, tmp_path):
    tier = build_tier("storage", {**settings, "tier.storage.fsync": "no"})
    assert isinstance(tier, LocalStorage)
    assert (tier.settings.folder, tier.settings.fsync) == (tmp_path / "photos", False)
    assert not (tmp_path / "photos").exists()


def test_the_environment_may_hold_the_secret_and_choose_the_plugin(settings):
    del settings["tier.storage.signing_key"]
    environ = {"PHOTOAPP_TIER_STORAGE_SIGNING_KEY": KEY}
    assert build_tier("storage", settings, environ).settings.signing_key == KEY
    assert "no storage tier is called 'x'" in refusal("storage", settings, {"PHOTOAPP_TIER_STORAGE_USE": "x"})


def test_a_name_that_is_missing_or_unknown_is_refused_with_the_known_ones(settings):
    assert refusal("feed", {}) == "tier.feed.use is missing; it names one of: memory, redis"
    assert refusal("feed", {"tier.feed.use": ""}) == "tier.feed.use is missing; it names one of: memory, redis"
    assert refusal("feed", {"tier.feed.use": "memroy"}) == (
        "tier.feed.use: no feed tier is called 'memroy'; did you mean memory?; known: memory, redis"
    )
    assert refusal("feed", {"tier.feed.use": "kafka"}).endswith("called 'kafka'; known: memory, redis")


def test_a_key_that_is_unknown_or_wrong_is_refused(settings):
    assert refusal("feed", {"tier.feed.use": "memory", "tier.feed.lenght": "9"}) == (
        "unknown setting tier.feed.lenght; did you mean tier.feed.length?"
    )
    assert refusal("feed", {"tier.feed.use": "memory", "tier.feed.length": "long"}) == (
        "tier.feed.length: 'long' is not a whole number"
    )
    assert refusal("feed", {"tier.feed.use": "memory", "tier.feed.length": "0"}) == (
        "tier.feed: length must be at least 1"
    )


def test_two_packages_that_bring_one_name_are_refused(stranger):
    stranger("[photoapp.tiers.storage]\nlocal = stranger_module:Storage\n")
    said = refusal("storage", {"tier.storage.use": "local"})
    assert said.startswith("two packages bring a storage tier called local: ")
    assert "stranger_module:Storage" in said
    assert "photoapp.tiers.storage.local:LocalStorage" in said


FAULTS = """
    from photoapp.tiers.cache.memory import MemoryCache
    from photoapp.tiers.storage import StorageTier
    from photoapp.tiers.storage.local import LocalStorage

    class Half(StorageTier):
        name = "half"

        def _put(self, key, data, content_type): ...

    class Loose(LocalStorage):
        name = "loose"
        Settings = dict

    class Other(LocalStorage):
        name = "misnamed"

    not_a_class = LocalStorage.Settings
    CacheInstead = MemoryCache
"""


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("stranger_module:Half", "lacks _copy, _delete, _get, _list, _ping, _stat, _url"),
        ("stranger_module:Loose", "has no dataclass Settings"),
        ("stranger_module:Other", "has the name 'misnamed', which must be that of its entry point"),
        ("stranger_module:CacheInstead", "is not a subclass of StorageTier"),
        ("stranger_module:not_a_class", "is not a subclass of StorageTier"),
        ("stranger_module:nothing", "cannot be imported: AttributeError: module 'stranger_module' has no"),
        ("stranger_missing:Storage", "cannot be imported: ModuleNotFoundError: No module named"),
    ],
)
def test_a_class_that_is_no_plugin_is_refused(stranger, target, said, monkeypatch):
    monkeypatch.delitem(__import__("sys").modules, "stranger_module", raising=False)
    stranger(f"[photoapp.tiers.storage]\nodd = {target}\n", FAULTS)
    assert refusal("storage", {"tier.storage.use": "odd"}).startswith(f"tier.storage.use: odd ({target}) {said}")


def test_the_application_has_five_tiers_and_closes_them(settings):
    with Configurator(settings=settings) as config:
        config.include("photoapp.tiers")
        tiers = config.registry.tiers
    assert isinstance(tiers, Tiers)
    classes = [LocalStorage, MemoryFeed, MemorySession, MemoryCache, LocalQueue]
    assert [type(tier) for tier in tiers.all()] == classes
    assert all(tier.ping() for tier in tiers.all())
    assert tiers.queue.start(lambda *_: None, lambda _: (), lambda: None) is True
    tiers.close()
    tiers.close()


def test_every_tier_is_closed_even_if_one_cannot_be(settings):
    closed = []

    class Stubborn(MemoryCache):
        def close(self):
            raise OSError

    class Meek(MemoryFeed):
        def close(self):
            closed.append(self)

    with Configurator(settings=settings) as config:
        config.include("photoapp.tiers")
        built = config.registry.tiers
    feed = Meek(built.feed.settings)
    tiers = Tiers(built.storage, feed, built.session, Stubborn(built.cache.settings), built.queue)
    with pytest.raises(OSError):  # noqa: PT011 - which of them it was does not matter
        tiers.close()
    assert closed == [feed]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"tier.storgae.folder": "x"},
            "tier.storgae.folder: no tier is called 'storgae'; did you mean storage?; known",
        ),
        ({"tier.storage": "local"}, "unknown setting tier.storage; did you mean tier.storage.use?"),
        ({"tier.feed.use": ""}, "tier.feed.use is missing; it names one of: memory, redis"),
        ({"server.processes": "two"}, "server.processes: 'two' is not a whole number"),
        (
            {"server.processes": "2"},
            "tier.feed.use = memory keeps its state inside one process, but server.processes is 2",
        ),
    ],
)
def test_the_application_does_not_start_with(settings, change, said):
    config = Configurator(settings={**settings, **change})
    with pytest.raises(ConfigurationError) as caught:
        config.include("photoapp.tiers")
    assert str(caught.value).startswith(said)

from __future__ import annotations

from pathlib import Path

import pytest
from pyramid.config import Configurator

from photoapp.errors import ConfigurationError
from photoapp.jobs import start_workers
from photoapp.jobs.drain import drain_all


@pytest.fixture
def config(tmp_path: Path, shard_settings: dict[str, str]):
    settings = {
        **shard_settings,
        "tier.storage.use": "local",
        "tier.storage.folder": str(tmp_path / "photos"),
        "tier.storage.signing_key": "k" * 16,
        "tier.feed.use": "memory",
        "tier.session.use": "memory",
        "tier.cache.use": "memory",
        "tier.queue.use": "local",
        "tier.queue.lock_file": str(tmp_path / "queue.lock"),
    }
    config = Configurator(settings=settings)
    for name in ("photoapp.sharding", "photoapp.tiers", "photoapp.jobs"):
        config.include(name)
    yield config
    config.registry.tiers.close()
    config.registry.shards.close()


def test_the_built_in_handlers_move_versions_and_drop_feeds_from_the_outbox(config: Configurator) -> None:
    registry = config.registry
    session, feed = registry.tiers.session, registry.tiers.feed
    before = session.versions(["account:1", "account:2"])
    token = feed.begin_build(7)
    feed.finish_build(7, token, [1], complete=True)
    with registry.shards.write(0) as writer:
        writer.post("versions.move", {"names": ["account:1"]})
        writer.post("feed.drop", {"users": [7]})
    assert drain_all(registry.work) == 2
    after = session.versions(["account:1", "account:2"])
    assert (after[0] != before[0], after[1] == before[1]) == (True, True)
    assert feed.page(7, count=1) is None


def test_directives_add_handlers_and_refuse_a_name_twice(config: Configurator) -> None:
    config.add_shard_handler("a.b", lambda _writer, _jobs: None, queue="slow")
    assert config.registry.handlers["a.b"].queue == "slow"
    with pytest.raises(ConfigurationError, match=r"a\.b"):
        config.add_effect_handler("a.b", lambda _work, _job: None)


def test_workers_begin_only_when_they_are_started(config: Configurator) -> None:
    queue = config.registry.tiers.queue
    assert not queue._threads
    assert start_workers(config.registry)
    assert queue._threads

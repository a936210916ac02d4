"""The memcached cache against the cache contract on a real node, on two, and what is its own."""

import pickle
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from photoapp.tiers.cache.memcached import FLAG, MemcachedCache, MemcachedCacheSettings
from photoapp.tiers.cache.ring import Ring
from photoapp.tiers.testing.cache import CacheSuite, key
from support.memcached import Memcached, MemcachedMissingError, patient
from support.require import unavailable
from support.server import free_port


@pytest.fixture(scope="module")
def nodes() -> Iterator[tuple[Memcached, Memcached]]:
    try:
        pair = Memcached(), Memcached()
    except MemcachedMissingError as error:
        unavailable("memcached", str(error))
    yield pair
    for node in pair:
        node.stop()


@pytest.fixture
def tier(nodes: tuple[Memcached, Memcached]) -> Iterator[MemcachedCache]:
    tier = MemcachedCache(patient(nodes[0]))
    yield tier
    tier.close()


class OnMemcached(CacheSuite):
    has_engine = True

    @pytest.fixture
    def away(self) -> MemcachedCache:
        return MemcachedCache(MemcachedCacheSettings(nodes=(f"127.0.0.1:{free_port()}",)))


class TestOneNode(OnMemcached):
    @pytest.fixture
    def tier(self, tier: MemcachedCache) -> MemcachedCache:
        return tier


class TestTwoNodes(OnMemcached):
    @pytest.fixture
    def tier(self, nodes: tuple[Memcached, Memcached]) -> Iterator[MemcachedCache]:
        tier = MemcachedCache(patient(*nodes))
        yield tier
        tier.close()


class Canary:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def plant(node: Memcached, name: str, value: bytes, flag: int) -> None:
    """Write as another program would."""
    assert node.command(b"set %s %d 0 %d\r\n%s\r\n" % (name.encode(), flag, len(value), value)) == b"STORED\r\n"


def test_a_planted_pickle_is_a_miss_and_never_run(tier, nodes, tmp_path):
    """SEC-71."""
    name, canary = key(), tmp_path / "canary"
    poison = pickle.dumps(Canary(canary))
    pickle.loads(poison)
    assert canary.exists()  # so it would bite
    canary.unlink()
    fresh = struct.pack("!d", time.time() + 90)
    for flag in (0, 1, 2, 16, FLAG):
        for value in (poison, fresh + poison):
            plant(nodes[0], name, value, flag)
            assert tier.get_many([name]) == {}
            assert tier.add(name, "ours", ttl_s=90) is True
            assert tier.get_many([name]) == {name: "ours"}
    assert not canary.exists()


@pytest.mark.parametrize(
    "value", [b"", b"{}", b"\xff" * 8, b"\xff" * 40, struct.pack("!d", 9e9), struct.pack("!d", 9e9) + b"{"]
)
def test_a_broken_value_under_our_flag_is_a_miss(tier, nodes, value):
    name = key()
    plant(nodes[0], name, value, FLAG)
    assert tier.get_many([name]) == {}


def test_json_of_another_program_is_a_miss(tier, nodes):
    name = key()
    plant(nodes[0], name, b'{"id": 1}', 0)
    assert tier.get_many([name]) == {}


def test_names_with_line_ends_reach_no_node(tier, nodes):
    """SEC-73."""
    name = key()
    tier.set_many({name: 1}, ttl_s=90)
    with pytest.raises(ValueError, match="key"):
        tier.get_many([f"x\r\ndelete {name}"])
    assert tier.get_many([name]) == {name: 1}


def test_memcached_itself_forgets_soon_after_the_time_is_over(tier, nodes):
    """The expiry in the value must not keep room that the node could use."""
    for ttl_s, at_most in ((0.05, 3), (90, 93), (86400 * 40, 86400 * 40 + 3)):
        name = key()
        tier.set_many({name: 1}, ttl_s=ttl_s)
        told = nodes[0].command(f"mg {name} t\r\nget none\r\n".encode())
        assert 0 < int(told.split()[1].removeprefix(b"t")) <= at_most


def test_a_prefix_keeps_installations_apart(nodes):
    one, other = (MemcachedCache(patient(nodes[0], prefix=prefix)) for prefix in ("a" * 50, "b:"))
    name = "k".ljust(200, "x")
    one.set_many({name: 1}, ttl_s=90)
    assert (one.get_many([name]), other.get_many([name])) == ({name: 1}, {})
    one.close()
    other.close()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"nodes": ()}, "one at least"),
        ({"nodes": ("a:1", "a:1")}, "each once"),
        *(({"nodes": (node,)}, "host:port") for node in ("a:1/x", "", ":1", "me@a:1", "a?b")),
        *(({"nodes": (node,)}, "[Pp]ort") for node in ("a:x", "a:99999")),
        ({"nodes": ("a",), "prefix": "x y"}, "key"),
        ({"nodes": ("a",), "prefix": "x" * 51}, "50 characters"),
    ],
)
def test_settings_that_cannot_work_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        MemcachedCacheSettings(**wrong)


def test_the_ring_is_even_and_a_node_more_or_less_moves_only_its_share():
    names = [f"media:{number}" for number in range(4000)]
    three = Ring(["a:1", "b:1", "c:1"])
    assert all(900 < len(share) < 1800 for share in three.shares(names).values())
    turned = Ring(["c:1", "a:1", "b:1"])
    assert all(turned.node(name) == three.node(name) for name in names)
    four = Ring(["a:1", "b:1", "c:1", "d:1"])
    moved = [name for name in names if four.node(name) != three.node(name)]
    assert {four.node(name) for name in moved} == {"d:1"}
    assert 600 < len(moved) < 1400
    assert three.shares([]) == {} == Ring(["a:1"]).shares([])

"""memcached nodes that stop, freeze, return and restart: a miss, soon, and never a wrong value (PROMISES 3.2)."""

import signal
import threading
from collections.abc import Iterator

import pytest

from photoapp.tiers.cache.memcached import MemcachedCache
from photoapp.tiers.testing.cache import key
from support.forked import forked
from support.memcached import Memcached, MemcachedMissingError, patient
from support.require import unavailable
from support.wait import wait_until

SOON_S = 20
"""What a busy machine may need; far below what the same calls would take if each of them waited."""


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Memcached, Memcached]]:
    try:
        nodes = Memcached(), Memcached()
    except MemcachedMissingError as error:
        unavailable("memcached", str(error))
    yield nodes
    for node in nodes:
        node.stop()


@pytest.fixture
def nodes(pair: tuple[Memcached, Memcached]) -> Iterator[tuple[Memcached, Memcached]]:
    """Two nodes that run; a test leaves them as it likes."""
    yield pair
    for node in pair:
        node.stop()
        node.start()


@pytest.fixture
def caches() -> Iterator[list[MemcachedCache]]:
    """Those that a test made are closed behind it."""
    made: list[MemcachedCache] = []
    yield made
    for cache in made:
        cache.close()


def within(seconds: float, call) -> None:
    """Run the call in a thread; it has to end in time."""
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), f"it waited for more than {seconds} s"


def spread(cache: MemcachedCache, nodes) -> tuple[list[str], list[str]]:
    """A hundred keys of each node."""
    kept: dict[str, list[str]] = {node.name: [] for node in nodes}
    while min(map(len, kept.values())) < 100:
        name = key()
        kept[cache._ring.node(name)].append(name)
    one, two = kept.values()
    return one[:100], two[:100]


def test_when_one_node_dies_the_others_keys_stay_where_they_are(nodes, caches, caplog):
    cache = MemcachedCache(patient(*nodes, dead_s=0.2))
    caches.append(cache)
    lost, kept = spread(cache, nodes)
    cache.set_many(dict.fromkeys(lost + kept, "value"), ttl_s=90)
    assert len(cache.get_many(lost + kept)) == 200
    nodes[0].stop()
    assert cache.get_many(lost + kept) == dict.fromkeys(kept, "value")
    cache.set_many(dict.fromkeys(lost + kept, "newer"), ttl_s=90)
    assert cache.get_many(lost + kept) == dict.fromkeys(kept, "newer")
    cache.delete_many([*lost, kept[0]])
    assert cache.get_many(kept) == dict.fromkeys(kept[1:], "newer")
    assert cache.add(lost[0], 1, ttl_s=90) is False
    assert cache.ping() is False
    nodes[0].start()
    wait_until(lambda: cache.add(lost[0], 1, ttl_s=90), what="the node's return")
    assert cache.ping(deadline_s=10) is True
    assert [record.message for record in caplog.records] == ["breaker.opened", "breaker.closed"]


def test_a_frozen_node_is_waited_for_once_and_then_left_alone(nodes, caches):
    cache = MemcachedCache(patient(*nodes, timeout_s=0.2))
    caches.append(cache)
    frozen, alive = spread(cache, nodes)
    nodes[0].freeze()

    def work() -> None:
        for _ in range(60):  # two minutes, if every call waited its 0.2 s
            for name in frozen[:3]:
                assert cache.get_many([name]) == {}
                cache.set_many({name: 1}, ttl_s=90)
                assert cache.add(name, 1, ttl_s=90) is False
                cache.delete_many([name])

    within(SOON_S, work)
    within(SOON_S, lambda: cache.ping(deadline_s=0.5))
    told = patient(*nodes)
    other = MemcachedCache(told)
    caches.append(other)
    other.set_many({alive[0]: "there"}, ttl_s=90)
    assert cache._nodes[nodes[1].name].breaker.closed
    nodes[0].thaw()


def test_a_node_that_returns_with_old_values_shows_none_under_a_newer_version(nodes, caches):
    """Law 10: the key names the version, so what a node kept while it was away is never asked for again (I11)."""
    cache = MemcachedCache(patient(nodes[0], timeout_s=0.3, dead_s=0.1))
    caches.append(cache)
    old = {key(f"media:{number}:v1"): "before" for number in range(50)}
    cache.set_many(old, ttl_s=90)
    nodes[0].freeze()
    cache.delete_many(list(old))  # lost, as the contract allows
    nodes[0].thaw()
    wait_until(lambda: cache.add(key(), 1, ttl_s=90), what="the node's return")
    assert cache.get_many([name.replace(":v1", ":v2") for name in old]) == {}
    assert set(cache.get_many(list(old)).values()) <= {"before"}


def test_a_node_that_was_restarted_is_empty_and_in_use_at_once(nodes, caches):
    cache = MemcachedCache(patient(nodes[0]))
    caches.append(cache)
    name = key()
    cache.set_many({name: 1}, ttl_s=90)
    nodes[0].stop()
    nodes[0].start()
    assert cache.get_many([name]) == {}
    cache.set_many({name: 2}, ttl_s=90)
    assert cache.get_many([name]) == {name: 2}
    assert cache.ping(deadline_s=10) is True


def test_a_call_that_was_broken_off_leaves_no_answer_for_the_next(nodes, caches):
    cache = MemcachedCache(patient(nodes[0]))
    caches.append(cache)
    first, second = key(), key()
    cache.set_many({first: "first", second: "second"}, ttl_s=90)

    class BrokenOff(BaseException):
        """As a server's worker is told to go."""

    def break_off(*_: object) -> None:
        raise BrokenOff

    handler = signal.signal(signal.SIGALRM, break_off)
    nodes[0].freeze()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(BrokenOff):
            cache.get_many([first])
    finally:
        signal.signal(signal.SIGALRM, handler)
        nodes[0].thaw()
    assert cache.get_many([second]) == {second: "second"}


def connections(node: Memcached) -> int:
    stats = dict(line.split()[1:3] for line in node.command(b"stats\r\n").splitlines() if line.startswith(b"STAT"))
    return int(stats[b"curr_connections"])


def test_connections_end_with_their_threads_and_with_the_tier(nodes, caches):
    cache = MemcachedCache(patient(nodes[0]))
    before = connections(nodes[0])
    threads = [threading.Thread(target=cache.get_many, args=(["k"],)) for _ in range(8)]
    cache.get_many(["k"])
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    del thread, threads
    wait_until(lambda: connections(nodes[0]) == before + 1, what="the end of the threads' connections")
    cache.close()
    wait_until(lambda: connections(nodes[0]) == before, what="the end of the last connection")


def test_a_forked_process_does_not_speak_on_its_parents_connection(nodes, caches):
    cache = MemcachedCache(patient(nodes[0]))
    caches.append(cache)
    mine, theirs = key(), key()
    cache.set_many({mine: "parent", theirs: "child"}, ttl_s=90)

    def right(name: str, value: str) -> bool:
        return all(cache.get_many([name]) == {name: value} for _ in range(300))

    with forked(lambda: right(theirs, "child")):
        assert right(mine, "parent")

"""Ids and name hashes: pure arithmetic."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from photoapp.sharding import ids

SHARD = st.integers(0, ids.MAX_SHARDS - 1)
TICKS = st.integers(0, (1 << 51) - 2)  # 41 bits of milliseconds, the last one half full, times 1,024


@given(TICKS, SHARD)
def test_an_id_keeps_its_shard_and_its_millisecond(ticks, shard):
    id_ = ids.id_from(ticks, shard)
    assert 0 <= id_ <= ids.MAX_ID * 2 + 1
    assert ids.shard_of(id_) == shard
    assert ids.unix_ms_of(id_) == ids.EPOCH_MS + (ticks >> 10)


@given(TICKS, TICKS, SHARD)
def test_later_ticks_give_higher_ids_on_one_shard(one, other, shard):
    assert (one < other) == (ids.id_from(one, shard) < ids.id_from(other, shard))


def test_ids_stay_positive_until_2060():
    ticks = ids.ticks_at(int(datetime(2060, 1, 1, tzinfo=UTC).timestamp() * 1000))
    assert 0 < ids.id_from(ticks, ids.MAX_SHARDS - 1) <= ids.MAX_ID


def test_the_time_of_an_id_is_aware_and_exact_to_the_millisecond():
    moment = datetime(2026, 4, 12, 9, 30, 0, 123000, tzinfo=UTC)
    id_ = ids.id_from(ids.ticks_at(round(moment.timestamp() * 1000)), 17)
    assert ids.time_of(id_) == moment


@given(st.integers(0, 1 << 30), SHARD)
def test_the_first_id_of_a_second_is_not_above_any_id_of_it_and_above_all_before(second, shard):
    unix_s = ids.EPOCH_MS // 1000 + second
    first = ids.first_id_at(unix_s)
    assert first <= ids.id_from(ids.ticks_at(unix_s * 1000), shard)
    assert second == 0 or first > ids.id_from(ids.ticks_at(unix_s * 1000) - 1, shard)


def test_timestamps_out_of_range_are_clamped():
    assert ids.first_id_at(0) == 0
    assert ids.first_id_at(1 << 60) <= ids.MAX_ID


def test_a_name_hashes_by_sha_256_of_kind_and_name():
    # echo -n 'username:ada' | sha256sum begins with the eight bytes below
    assert ids.shard_for_name("username", "ada", count=8192) == 0x172022DD01CEBD78 % 8192
    assert ids.shard_for_name("username", "Ada", count=8192) == ids.shard_for_name("username", "ada", count=8192)


def test_composed_and_decomposed_letters_are_one_name():
    assert ids.normalised("Ame\N{COMBINING ACUTE ACCENT}lie") == ids.normalised("amélie")

"""The setting that says where Redis is."""

import pytest

from photoapp.tiers.redis.instances import bucket_of, parse_instances


def test_one_url_has_every_bucket():
    [one] = parse_instances("redis://10.0.0.1/3")
    assert (one.scheme, one.addresses, one.db, one.label) == ("redis", (("10.0.0.1", 6379),), 3, "0-255")
    assert (one.username, one.password) == (None, None)


def test_credentials_are_unquoted_and_in_no_repr():
    [one] = parse_instances("redis://app:a%40b%2Fc@redis.example:7000")
    assert (one.username, one.password, one.addresses) == ("app", "a@b/c", (("redis.example", 7000),))
    assert "a@b/c" not in repr(one)
    assert one.name == "redis://redis.example:7000"
    [two] = parse_instances("redis://:secret@[::1]:7000/0")
    assert (two.username, two.password, two.addresses) == (None, "secret", (("::1", 7000),))


def test_lines_share_the_buckets():
    two, one = parse_instances("\n  redis://b:1  128-255\n  sentinel://s1,s2:7/feeds/2   0-127\n")
    assert (one.service, one.db, one.addresses, one.label) == ("feeds", 2, (("s1", 26379), ("s2", 7)), "0-127")
    assert (two.first, two.last) == (128, 255)


def test_a_cluster_names_some_of_its_nodes():
    [one] = parse_instances("cluster://:pw@a:1,b:2")
    assert (one.scheme, one.addresses, one.password) == ("cluster", (("a", 1), ("b", 2)), "pw")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "bucket 0"),
        ("http://a", "line 1"),
        ("redis://a,b", "one host"),
        ("redis://a/x", "number of a database"),
        ("redis://a 0-255 more", "range"),
        ("redis://a 0-256", "range"),
        ("redis://a 0-127", "bucket 128 has no instance"),
        ("redis://a\nredis://b", "line 1"),
        ("redis://a 0-128\nredis://b 128-255", "bucket 128 has two"),
        ("redis://a 0-99\nredis://b 101-255", "bucket 100 has none"),
        ("sentinel://a", "name of a service"),
        ("cluster://a 0-127\nredis://b 128-255", "cluster"),
        ("cluster://a/1", "database"),
        ("redis://a:b:c", "host:port"),
    ],
)
def test_what_is_wrong_is_said_without_the_url(text, says):
    with pytest.raises(ValueError, match=says) as refusal:
        parse_instances(text.replace("://", "://:hush@"))
    assert "hush" not in str(refusal.value)


def test_buckets_are_spread_though_the_low_bits_of_ids_are_constant():
    counts = [0] * 256
    for number in range(25600):
        counts[bucket_of(str(number << 10))] += 1
    assert min(counts) > 50
    assert max(counts) < 170

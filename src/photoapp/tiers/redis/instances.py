"""The setting ``instances``: which Redis keeps what. Keys fall into 256 buckets, and a line says which buckets a Redis
has::

    tier.feed.instances =
        redis://:secret@10.0.0.1:6379/0        0-127
        sentinel://10.0.0.2:26379,10.0.0.3:26379/feeds   128-255

A single Redis needs no range. ``sentinel://[user:password@]host:port,.../service[/db]`` asks the Sentinels who the
primary of ``service`` is. ``cluster://[user:password@]host:port,...`` is a Redis Cluster, which spreads the buckets
itself, so it stands alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote
from zlib import crc32

BUCKETS = 256

Address = tuple[str, int]

_URL = re.compile(
    r"(?P<scheme>redis|sentinel|cluster)://"
    r"(?:(?P<user>[^:@/\s]*)(?::(?P<password>[^@/\s]*))?@)?"
    r"(?P<hosts>[^@/\s]+)"
    r"(?:/(?P<path>[^\s?#]*))?"
)
_HOST = re.compile(r"(?:\[(?P<ipv6>[0-9a-fA-F:.]+)\]|(?P<name>[^:\[\]]+))(?::(?P<port>\d+))?")
_PORTS = {"redis": 6379, "sentinel": 26379, "cluster": 6379}


@dataclass(frozen=True, slots=True)
class Instance:
    """One line."""

    scheme: str
    """``redis``, ``sentinel`` or ``cluster``."""
    addresses: tuple[Address, ...]
    first: int
    """The first of its buckets."""
    last: int
    service: str = ""
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """What logs and errors call it; without secrets."""
        hosts = ",".join(f"{host}:{port}" for host, port in self.addresses)
        return f"{self.scheme}://{hosts}" + (f"/{self.service}" if self.service else "")

    @property
    def label(self) -> str:
        """The range of its buckets, as the ini file writes it."""
        return f"{self.first}-{self.last}"


def bucket_of(name: str) -> int:
    """The bucket of a name: CRC-32, since the low bits of an id are nearly constant."""
    return crc32(name.encode()) & 255


def parse_instances(text: str) -> list[Instance]:
    """The lines as instances that together have every bucket once.

    Raises ``ValueError`` whose text names the line by its number and never shows it: it may hold a password.
    """
    lines = [line.split() for line in text.splitlines() if line.strip()]
    found = [_instance(number, words, alone=len(lines) == 1) for number, words in enumerate(lines, 1)]
    if any(each.scheme == "cluster" for each in found) and len(found) > 1:
        raise ValueError("a cluster spreads the buckets itself and must be the only one of the instances")
    held = sorted((each.first, each.last) for each in found)
    expected = 0
    for first, last in held:
        if first != expected:
            raise ValueError(f"bucket {min(first, expected)} has {'two instances' if first < expected else 'none'}")
        expected = last + 1
    if expected != BUCKETS:
        raise ValueError(f"bucket {expected} has no instance")
    return found


def _instance(number: int, words: list[str], *, alone: bool) -> Instance:
    match = _URL.fullmatch(words[0])
    if match is None:
        raise ValueError(f"line {number} of instances does not begin with a redis://, sentinel:// or cluster:// URL")
    scheme, path = match["scheme"], match["path"] or ""
    addresses = tuple(_address(number, host, _PORTS[scheme]) for host in match["hosts"].split(","))
    if scheme == "redis" and len(addresses) > 1:
        raise ValueError(f"line {number} of instances: a redis:// URL names one host")
    service, _, db = path.partition("/") if scheme == "sentinel" else ("", "", path)
    if scheme == "sentinel" and not service:
        raise ValueError(f"line {number} of instances: a sentinel:// URL ends with the name of a service")
    if db and (not db.isdecimal() or (scheme == "cluster" and db != "0")):
        raise ValueError(f"line {number} of instances: what follows the host is not the number of a database")
    first, last = _range(number, words[1:], alone=alone)
    secrets = {name: unquote(match[name]) if match[name] else None for name in ("user", "password")}
    return Instance(
        scheme,
        addresses,
        first,
        last,
        service=service,
        db=int(db or 0),
        username=secrets["user"],
        password=secrets["password"],
    )


def _address(number: int, host: str, port: int) -> Address:
    match = _HOST.fullmatch(host)
    if match is None:
        raise ValueError(f"line {number} of instances: a host is not written as host:port")
    return match["ipv6"] or match["name"], int(match["port"] or port)


def _range(number: int, words: list[str], *, alone: bool) -> tuple[int, int]:
    if not words and alone:
        return 0, BUCKETS - 1
    match = re.fullmatch(r"(\d+)-(\d+)", words[0]) if len(words) == 1 else None
    if match is None or not 0 <= int(match[1]) <= int(match[2]) < BUCKETS:
        raise ValueError(f"line {number} of instances does not end with the range of its buckets, such as 0-127")
    return int(match[1]), int(match[2])

"""The rows of the resilience matrix (PROMISES 3.3, as amended at its head) that there are so far, and what they promise."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests
from faults_world import FEED, ONE, PGBOUNCER, S3, SESSION, SHARD, TWO, Side, World

from support.people import PASSWORD, Person, small_jpeg
from support.proxy import DELAY, PASS
from support.wait import wait_until

DELAY_S = 5.0
SOON_S = 8.0
"""A request's 5 s, and a busy machine."""
UPLOAD_S = 20.0
HEALS_S = 30.0

A, D, U = "A", "D", "U"
"""Normal; 200 and ``X-Degraded``; 503."""

Call = Callable[[World, Side], requests.Response]


def _row(method: str, path: str, who: str = "viewer", **options: Any) -> Call:
    """A call of one of a side's people; ``path`` may name another, or a photo."""

    def call(world: World, side: Side) -> requests.Response:
        person: Person = getattr(side, who)
        return person.call(method, path.format(side=side, **side.photos), **options)

    return call


def log_in(world: World, side: Side) -> requests.Response:
    form = {"grant_type": "password", "username": side.owner.username, "password": PASSWORD, "scope": "likes"}
    return requests.post(f"{world.server.url}/oauth/access_token", data={**world.app.credentials, **form}, timeout=30)


def upload(world: World, side: Side) -> requests.Response:
    files = {"photo": ("photo.jpg", small_jpeg())}
    return side.owner.call("POST", "/media", files=files, headers={"Idempotency-Key": secrets.token_hex(8)})


def image_url(world: World, side: Side) -> requests.Response:
    return requests.get(side.image, allow_redirects=False, timeout=30)


def status(world: World, side: Side) -> requests.Response:
    return requests.get(f"{world.server.url}/statusz", timeout=30)


def health(world: World, side: Side) -> requests.Response:
    return requests.get(f"{world.server.url}/healthz", timeout=30)


ROWS: dict[str, Call] = {
    "image url": image_url,
    "login": log_in,
    "own profile": _row("GET", "/users/self"),
    "public media": _row("GET", "/media/{shown}"),
    "private media": _row("GET", "/media/{private}"),
    "home feed": _row("GET", "/users/self/feed?count=60"),
    "user's photos": _row("GET", "/users/{side.owner.id}/media/recent"),
    "upload": upload,
    "delete": _row("DELETE", "/media/{victim}", "owner"),
    "like": _row("POST", "/media/{liked}/likes"),
    "comment": _row("POST", "/media/{liked}/comments", data={"text": "good"}),
    "follow": _row("POST", "/users/{side.target.id}/relationship", data={"action": "follow"}),
    "unfollow": _row("POST", "/users/{side.friend.id}/relationship", data={"action": "unfollow"}),
    "block": _row("POST", "/users/{side.friend.id}/relationship", data={"action": "block"}),
    "privacy": _row("PUT", "/users/self", "friend", data={"is_private": "true"}),
    "healthz": health,
    "statusz": status,
}
_ASK_NO_SHARD = {"image url", "healthz", "statusz"}
_STRICT = {"delete", "unfollow", "block", "privacy"}
"""Acknowledged only once no cache can show what was before. A follow is not (DESIGN law 10)."""


def promised(row: str, engine: str, mode: str) -> str:
    """The matrix, for people who live on the database that a broken shard is of."""
    if engine in {SHARD, PGBOUNCER} and row not in _ASK_NO_SHARD:
        return U
    if engine == FEED and row == "home feed":
        return D
    if engine == SESSION and row in _STRICT:
        return U
    if engine == S3 and row == "upload" and mode != DELAY:  # a slow one is waited for (PROMISES 3.2)
        return U
    return A


def promised_elsewhere(row: str) -> str:
    """The column of the shard, for people on the other database."""
    return D if row == "home feed" else A


def check(answer: requests.Response, letter: str, *, within_s: float = SOON_S) -> None:
    """The answer is as the letter says, JSON, and came in time."""
    told = (
        f"{answer.status_code} after {answer.elapsed.total_seconds():.1f} s: {dict(answer.headers)} {answer.text[:300]}"
    )
    assert answer.elapsed.total_seconds() < within_s, told
    if letter == U:
        assert answer.status_code == 503, told
        assert int(answer.headers["Retry-After"]) > 0, told
        body = answer.json()
        assert body.get("meta", body)["error_type"] in {"APIServiceUnavailableError", "APIOutcomeUnknownError"}, told
        return
    assert answer.status_code in {200, 302}, told
    assert ("X-Degraded" in answer.headers) == (letter == D), told
    if answer.status_code == 200:
        answer.json()


@dataclass
class Episode:
    """An engine is broken, for as long as it takes to ask for every row."""

    world: World
    engine: str
    mode: str
    pids: list[int] = field(default_factory=list)
    images: list[requests.Response] = field(default_factory=list)
    """What was asked for while it was cached, which is what its column is about."""

    def begin(self) -> None:
        """Prepare, then break."""
        self.world.prepare()
        self.pids = self.world.pids()
        for side in self.world.sides.values():
            check(ROWS["image url"](self.world, side), A)
        self.world.proxies[self.engine].mode(self.mode, DELAY_S)
        self.images = [ROWS["image url"](self.world, side) for side in self.world.sides.values()]
        if self.engine in {SHARD, PGBOUNCER}:
            # What is cached is answered, database or not. These columns are about what is not.
            self.world.forget_sessions()

    def end(self) -> None:
        """Mend, and wait until everything is as before, in the same processes."""
        self.world.proxies[self.engine].mode(PASS)
        wait_until(self._is_whole, within_s=HEALS_S, what=f"recovery from {self.mode} of {self.engine}")
        assert self.world.pids() == self.pids

    def ask(self, row: str, side: str) -> requests.Response:
        """The answer for somebody on a side."""
        if row == "image url":
            return self.images[(ONE, TWO).index(side)]
        return ROWS[row](self.world, self.world.sides[side])

    def _is_whole(self) -> bool:
        reads = (
            "login",
            "own profile",
            "public media",
            "private media",
            "home feed",
            "user's photos",
            "upload",
            "like",
        )
        answers = [self.ask(row, side) for side in self.world.sides for row in reads] + self.world.restored()
        assert not [answer for answer in answers if answer.status_code not in {200, 503}], answers
        return all(answer.status_code == 200 and "X-Degraded" not in answer.headers for answer in answers)

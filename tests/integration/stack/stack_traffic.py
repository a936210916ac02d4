"""People who write and read while something is killed: what was acknowledged is remembered, what is shown is checked."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from types import TracebackType
from typing import Any, Self

import requests

from support.people import App, Person, data_of, error_of, small_jpeg
from support.wait import wait_until

LOST = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)
"""What a client sees of a process that was killed while it answered."""


def attempt(call: Callable[[], requests.Response]) -> requests.Response | None:
    """The answer; None where there is none, or a 503. Anything else but a success is wrong."""
    try:
        answer = call()
    except LOST:
        return None
    if answer.status_code == 503:
        assert int(answer.headers["Retry-After"]) > 0
        return None
    return answer


def insist(call: Callable[[], requests.Response], *, within_s: float = 60) -> Any:
    """The data of a success: whoever is not answered asks again."""
    found: list[Any] = []

    def succeeds() -> bool:
        answer = attempt(call)
        if answer is None or (answer.status_code == 409 and "Retry-After" in answer.headers):
            return False  # the second: the same Idempotency-Key is at work, or was when its process was killed
        found.append(data_of(answer))
        return True

    wait_until(succeeds, within_s=within_s, what="a success")
    return found[0]


def publish(person: Person) -> str:
    """The id of one photo, however many tries it takes."""
    key = {"Idempotency-Key": secrets.token_hex(8)}
    media = insist(lambda: person.call("POST", "/media", files={"photo": ("a.jpg", small_jpeg())}, headers=key))
    return str(media["id"])


class Traffic:
    """Goes on inside of ``with``, whose end raises what was wrong."""

    def __init__(self, app: App, liked: str, fans: list[Person]) -> None:
        self.liked = liked
        """A photo that the fans like, and like no more."""
        self.fans = fans
        self.likes: dict[str, bool] = {}
        """By fan, as last acknowledged."""
        self.author, self.closed, self.stranger, self.pal = (app.sign_up() for _ in range(4))
        self.published: list[str] = []
        self.gone: dict[str, float] = {}
        """Photos and when their deletion was acknowledged."""
        for fan in fans:
            fan.relate(self.author, "follow")
        self._secret = self.closed.upload()["id"]
        self._end = Event()
        self._pool = ThreadPoolExecutor(4)
        self._futures: list[Future[None]] = []

    def __enter__(self) -> Self:
        self._futures = [self._pool.submit(each) for each in (self._like, self._publish, self._close, self._read)]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end.set()
        self._pool.shutdown()
        if error is None:
            for future in self._futures:
                future.result()

    def live(self) -> list[str]:
        """What the author has published and not deleted, newest first."""
        return [id_ for id_ in reversed(self.published) if id_ not in self.gone]

    def _like(self) -> None:
        for fan in self._in_turn():
            likes = not self.likes.get(fan.id, False)
            insist(lambda fan=fan, likes=likes: fan.call("POST" if likes else "DELETE", f"/media/{self.liked}/likes"))
            self.likes[fan.id] = likes

    def _publish(self) -> None:
        for number in itertools.count():
            if self._end.is_set():
                return
            self.published.append(publish(self.author))
            if number % 3 == 2:
                old = self.published[-2]
                wait_until(lambda old=old: self._is_deleted(old), within_s=60, what="the deletion")
                self.gone[old] = time.monotonic()

    def _is_deleted(self, media_id: str) -> bool:
        """A 404 is what a try finds whose predecessor's answer was lost."""
        answer = attempt(lambda: self.author.call("DELETE", f"/media/{media_id}"))
        return answer is not None and answer.status_code in {200, 404}

    def _close(self) -> None:
        """An account that goes private and loses its follower shows neither follower nor stranger anything, at once."""
        closed, pal, path = self.closed, self.pal, f"/media/{self._secret}"
        while not self._end.is_set():
            insist(lambda: closed.call("PUT", "/users/self", data={"is_private": "false"}))
            insist(lambda: pal.call("POST", f"/users/{closed.id}/relationship", data={"action": "follow"}))
            assert insist(lambda: pal.call("GET", path))["id"] == self._secret
            insist(lambda: closed.call("PUT", "/users/self", data={"is_private": "true"}))
            refuses(self.stranger, path)
            assert insist(lambda: pal.call("GET", path))["id"] == self._secret
            insist(lambda: closed.call("POST", f"/users/{pal.id}/relationship", data={"action": "remove_follower"}))
            refuses(pal, path)
            assert insist(lambda: pal.call("GET", "/users/self/feed")) == []

    def _read(self) -> None:
        for fan in self._in_turn():
            gone = {id_ for id_, at in list(self.gone.items()) if at < time.monotonic()}
            answer = attempt(lambda fan=fan: fan.call("GET", "/users/self/feed", params={"count": 100}))
            if answer is not None:
                ids = [media["id"] for media in data_of(answer)]
                assert ids == sorted(set(ids), key=lambda id_: -int(id_.partition("_")[0]))
                assert not gone & set(ids)

    def _in_turn(self) -> Iterator[Person]:
        for fan in itertools.cycle(self.fans):
            if self._end.is_set():
                return
            yield fan


def refuses(person: Person, path: str) -> None:
    """Not one answer shows the photo."""
    answer = attempt(lambda: person.call("GET", path))
    if answer is not None:
        assert error_of(answer)[:2] == (400, "APINotAllowedError")

"""Clients of a server: a trusted app that signs people up, and people who use it, over HTTP and nothing else."""

import itertools
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests

import samples
from support.server import Running
from support.wait import wait_until

PASSWORD = "correct horse battery"
SCOPE = "comments likes publish relationships"
_numbers = itertools.count(1)


class ApiError(AssertionError):
    """An answer that was not 200, where one was expected."""


@dataclass
class App:
    """A trusted client of one server."""

    server: Running
    client_id: str
    client_secret: str
    http: requests.Session = field(default_factory=requests.Session)

    @classmethod
    def of(cls, server: Running) -> "App":
        """Make the client with the command, as an admin does."""
        made = json.loads(server.photoapp("clients", "create", "tests", "--trusted", "--json").stdout)
        return cls(server, made["client_id"], made["client_secret"])

    @property
    def credentials(self) -> dict[str, str]:
        return {"client_id": self.client_id, "client_secret": self.client_secret}

    def sign_up(self, name: str | None = None, **changes: Any) -> "Person":
        """A new person, logged in. Names are unique unless given."""
        name = name or f"p{next(_numbers)}_{secrets.token_hex(3)}"
        form = {"username": name, "password": PASSWORD, "email": f"{name}@mail.example", "full_name": name.title()}
        answer = self.http.post(f"{self.server.url}/v1/users", data={**self.credentials, **form, **changes})
        return self.log_in(data_of(answer)["username"])

    def log_in(self, username: str, password: str = PASSWORD, scope: str = SCOPE) -> "Person":
        """The person, with a new token."""
        form = {"grant_type": "password", "username": username, "password": password, "scope": scope}
        answer = self.http.post(f"{self.server.url}/oauth/access_token", data={**self.credentials, **form})
        if answer.status_code != 200:
            raise ApiError(answer.text)
        body = answer.json()
        return Person(self, body["user"]["id"], username, body["access_token"])


@dataclass
class Person:
    """Somebody with a token."""

    app: App
    id: str
    username: str
    token: str

    def call(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        """A request under /v1 (or to an absolute URL) with the bearer token."""
        url = path if path.startswith("http") else f"{self.app.server.url}/v1{path}"
        headers = {"Authorization": f"Bearer {self.token}", **kwargs.pop("headers", {})}
        return self.app.http.request(method, url, headers=headers, timeout=30, **kwargs)

    def get(self, path: str, **params: Any) -> Any:
        """The ``data`` of a GET that must succeed."""
        return data_of(self.call("GET", path, params=params))

    def post(self, path: str, **form: Any) -> Any:
        """The ``data`` of a POST that must succeed."""
        return data_of(self.call("POST", path, data=form))

    def put(self, path: str, **form: Any) -> Any:
        """The ``data`` of a PUT that must succeed."""
        return data_of(self.call("PUT", path, data=form))

    def delete(self, path: str, **form: Any) -> Any:
        """The ``data`` of a DELETE that must succeed."""
        return data_of(self.call("DELETE", path, data=form))

    def relate(self, other: "Person", action: str) -> dict[str, Any]:
        """POST relationship; the relationship."""
        related: dict[str, Any] = self.post(f"/users/{other.id}/relationship", action=action)
        return related

    def upload(
        self, photo: bytes | None = None, headers: Mapping[str, str] | None = None, **form: Any
    ) -> dict[str, Any]:
        """Publish a photo; the media."""
        files = {"photo": ("photo.jpg", photo if photo is not None else small_jpeg())}
        media: dict[str, Any] = data_of(
            self.call("POST", "/media", files=files, data=form, headers=dict(headers or {}))
        )
        return media

    def feed_ids(self, **params: Any) -> list[str]:
        """Ids on one page of the home feed."""
        return [media["id"] for media in self.get("/users/self/feed", **params)]

    def pages(self, path: str, **params: Any) -> list[list[dict[str, Any]]]:
        """All pages of a list, by ``next_url`` alone."""
        answer = self.call("GET", path, params=params)
        pages = [data_of(answer)]
        while next_url := answer.json()["pagination"].get("next_url"):
            answer = self.call("GET", next_url)
            pages.append(data_of(answer))
        return pages

    def sees_in_feed(self, media_id: str, *, within_s: float = 10) -> None:
        """Wait until the photo has arrived."""
        wait_until(lambda: media_id in self.feed_ids(), within_s=within_s, what=f"{media_id} in the feed")


_SMALL: list[bytes] = []


def small_jpeg() -> bytes:
    """A little photo, made once."""
    if not _SMALL:
        _SMALL.append(samples.jpeg(64, 48, seed=1))
    return _SMALL[0]


def data_of(answer: requests.Response) -> Any:
    """The ``data`` of a success. Raises ``ApiError`` with the body of anything else."""
    if answer.status_code != 200:
        raise ApiError(f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text[:500]}")
    return answer.json()["data"]


def error_of(answer: requests.Response) -> tuple[int, str, str]:
    """(status, error_type, error_message) of a refusal under /v1."""
    meta = answer.json()["meta"]
    assert meta["code"] == answer.status_code, answer.text
    return answer.status_code, meta["error_type"], meta["error_message"]

"""A server with a small rate limit, JSONP, no query tokens, and an ops token: what each setting changes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from support.people import App, Person, data_of, error_of
from support.server import Running, Server

TOKEN = "the operators' own token"
LIMIT = 20


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """SQLite only: none of this asks a shard."""
    folder: Path = tmp_path_factory.mktemp("strict")
    settings = {
        "api.rate_limit": str(LIMIT),
        "api.jsonp": "true",
        "api.query_tokens": "false",
        "ops.addresses": "",
        "ops.token": TOKEN,
    }
    server = Server(folder / "var", settings).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def strict_app(strict: Server) -> App:
    """Its trusted client."""
    return App.of(strict)


def test_a_token_has_its_own_limit_and_is_told_when_to_come_back(strict_app: App) -> None:
    one, other = strict_app.sign_up(), strict_app.sign_up()
    answers = [one.call("GET", "/users/self") for _ in range(LIMIT + 2)]

    assert [answer.status_code for answer in answers] == [200] * LIMIT + [429] * 2
    assert [int(answer.headers["X-Ratelimit-Remaining"]) for answer in answers[:LIMIT]] == [*range(LIMIT)][::-1]
    refused = answers[-1]
    assert error_of(refused)[:2] == (429, "OAuthRateLimitException")
    assert 1 <= int(refused.headers["Retry-After"]) <= 2 * 3600
    assert (refused.headers["X-Ratelimit-Limit"], refused.headers["X-Ratelimit-Remaining"]) == (str(LIMIT), "0")
    assert refused.headers["X-Content-Type-Options"] == "nosniff"
    assert other.get("/users/self")["id"] == other.id
    assert strict_app.log_in(one.username).get("/users/self")["id"] == one.id


def test_refusals_count_and_writes_are_refused_too(strict_app: App) -> None:
    person = strict_app.sign_up()
    for _ in range(LIMIT):
        assert person.call("GET", "/users/1").status_code == 404

    answer = person.call("PUT", "/users/self", data={"bio": "too late"})

    assert error_of(answer)[:2] == (429, "OAuthRateLimitException")
    assert strict_app.log_in(person.username).get("/users/self")["bio"] == ""


def test_a_client_without_a_token_has_its_own_limit(strict: Server) -> None:
    client = App.of(strict)
    path = f"{strict.url}/v1/users/1"

    codes = [
        client.http.get(path, params={"client_id": client.client_id}, timeout=30).status_code for _ in range(LIMIT + 1)
    ]

    assert codes == [404] * LIMIT + [429]


def test_query_tokens_can_be_switched_off(strict_app: App) -> None:
    person = strict_app.sign_up()

    answer = strict_app.http.get(
        f"{strict_app.server.url}/v1/users/self", params={"access_token": person.token}, timeout=30
    )

    assert error_of(answer)[:2] == (400, "OAuthParameterException")


def test_jsonp_wraps_answers_for_a_good_name_only(strict_app: App) -> None:
    person = strict_app.sign_up()

    answer = person.call("GET", "/users/self", params={"callback": "$.run_1"})

    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer.text.startswith('/**/$.run_1({"meta":{"code":200}')
    assert answer.text.endswith(");")
    for name in ("alert(1)", "a b", "", "1a", "x" * 65, "é", "a\nb"):
        refused = person.call("GET", "/users/self", params={"callback": name})
        assert error_of(refused)[:2] == (400, "APIInvalidParametersError")


@pytest.mark.parametrize("path", ["/statusz", "/metrics"])
def test_ops_paths_do_not_exist_without_the_ops_token(strict: Server, strict_app: App, path: str) -> None:
    nothing = requests.get(f"{strict.url}/nothing", timeout=30)
    person = strict_app.sign_up()
    for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Bearer {person.token}"},
                   {"Authorization": f"Basic {TOKEN}"}, {"Authorization": "Bearer "}, {"Authorization": b"Bearer \xe9"},
                   {"X-Forwarded-For": "127.0.0.1"}):  # fmt: skip
        answer = requests.get(f"{strict.url}{path}", headers=header, timeout=30)
        assert (answer.status_code, answer.content) == (404, nothing.content)
    assert requests.get(f"{strict.url}{path}", params={"access_token": TOKEN}, timeout=30).status_code == 404

    answer = requests.get(f"{strict.url}{path}", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30)

    assert answer.status_code == 200


def test_status_names_every_tier_and_database(server: Running) -> None:
    status = requests.get(f"{server.url}/statusz", headers=server.operator, timeout=30).json()

    assert {"storage", "feed", "session", "cache", "queue"} <= status["tiers"].keys()
    assert all(tier["up"] is True for tier in status["tiers"].values())
    assert status["databases"]
    assert all(database["up"] is True for database in status["databases"].values())
    assert "postgres@" not in repr(status)
    for each in (*status["tiers"].values(), *status["databases"].values()):
        assert set(each["breaker"].values()) <= {"closed"}
        assert each["last_error"] is None or each["last_error"].keys() == {"text", "age_s"}


def test_metrics_count_requests_by_route_and_hold_no_ids(server: Running, alice: Person) -> None:
    alice.get("/users/self")

    answer = requests.get(f"{server.url}/metrics", headers=server.operator, timeout=30)

    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert 'photoapp_request_seconds_count{method="GET",route="self",status="200"}' in answer.text
    assert alice.id not in answer.text
    assert alice.token not in answer.text


def test_health_and_readiness_are_for_everybody(server: Running, strict: Server) -> None:
    for each in (server, strict):
        assert requests.get(f"{each.url}/healthz", timeout=30).json() == {"status": "ok"}
        assert requests.get(f"{each.url}/readyz", timeout=30).json() == {"status": "ready"}
        assert data_less(requests.get(f"{each.url}/", timeout=30))


def data_less(answer: requests.Response) -> bool:
    """Whether it is an answer outside of the API: bare, and without the API's headers."""
    return answer.status_code == 200 and "meta" not in answer.json() and "X-Ratelimit-Limit" not in answer.headers


def test_no_token_or_password_is_logged(server: Running, app: App, alice: Person) -> None:
    app.http.get(f"{server.url}/v1/users/self", params={"access_token": alice.token}, timeout=30)
    app.http.get(
        f"{server.url}/v1/users/self",
        params={"access_token": "canary-token", "client_secret": "canary-secret"},
        timeout=30,
    )
    data_of(alice.call("GET", "/users/self"))

    for secret in (alice.token.rpartition(".")[2], "canary-token", "canary-secret", "correct horse battery"):
        assert secret not in server.written

"""How a caller says who it is."""

import pytest
import requests

from support.people import App, Person, data_of, error_of

MISSING, TOKEN, CLIENT = "OAuthParameterException", "OAuthAccessTokenException", "OAuthClientException"


def get(app: App, path: str = "/users/self", **kwargs: object) -> requests.Response:
    return app.http.get(f"{app.server.url}/v1{path}", timeout=30, **kwargs)  # type: ignore[arg-type]


def test_a_token_stands_in_header_query_or_form(app: App, alice: Person) -> None:
    for headers in ({"Authorization": f"Bearer {alice.token}"}, {"Authorization": f"bearer  {alice.token} "}):
        assert data_of(get(app, headers=headers))["id"] == alice.id
    assert data_of(get(app, params={"access_token": alice.token}))["id"] == alice.id
    form = {"access_token": alice.token, "bio": "from a form"}
    answer = app.http.put(f"{app.server.url}/v1/users/self", data=form, timeout=30)
    assert data_of(answer)["bio"] == "from a form"


def test_the_header_goes_before_the_query(app: App, alice: Person, bob: Person) -> None:
    answer = get(app, params={"access_token": bob.token}, headers={"Authorization": f"Bearer {alice.token}"})

    assert data_of(answer)["id"] == alice.id


def test_a_client_id_is_enough_for_public_data(app: App, alice: Person) -> None:
    media = alice.upload()
    client = {"client_id": app.client_id}

    for path in (f"/users/{alice.id}", f"/users/{alice.id}/media/recent", f"/media/{media['id']}"):
        assert "user_has_liked" not in get(app, path, params=client).text
        assert get(app, path, params=client).status_code == 200
    assert get(app, f"/users/{alice.id}", params=app.credentials).status_code == 200


def test_a_client_id_is_not_enough_where_a_user_is_needed(app: App, alice: Person) -> None:
    client = {"client_id": app.client_id}

    for path in ("/users/self", "/users/self/feed", "/users/self/media/liked", f"/users/{alice.id}/follows"):
        assert error_of(get(app, path, params=client))[:2] == (400, MISSING)


@pytest.mark.parametrize(
    ("params", "kind"),
    [
        ({}, MISSING),
        ({"access_token": ""}, MISSING),
        ({"access_token": "nonsense"}, TOKEN),
        ({"access_token": "1.abcdefg." + "0" * 64}, TOKEN),
        ({"access_token": "9223372036854775807.abcdef0." + "0" * 64}, TOKEN),
        ({"access_token": "9999999999999999999.abcdef0." + "0" * 64}, TOKEN),
        ({"access_token": "x" * 8_000}, TOKEN),
        ({"access_token": "nul\0"}, MISSING),
        ({"client_id": "unknown"}, CLIENT),
        ({"client_id": "nul\0"}, MISSING),
        ({"client_id": "ünï\ud7ff"}, CLIENT),
    ],
)
def test_what_is_no_credential_is_refused_by_kind(app: App, params: dict[str, str], kind: str) -> None:
    assert error_of(get(app, params=params))[:2] == (400, kind)


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Basic YTpi", "token", "Token abc", "Bearer\xa0x"])
def test_a_malformed_header_is_named(app: App, header: str) -> None:
    status, kind, message = error_of(get(app, headers={"Authorization": header.encode("latin-1")}))

    assert (status, kind) == (400, MISSING)
    assert message.startswith("Authorization: ")


def test_a_malformed_header_is_not_mended_by_a_good_query(app: App, alice: Person) -> None:
    answer = get(app, params={"access_token": alice.token}, headers={"Authorization": "Basic YTpi"})

    assert error_of(answer)[:2] == (400, MISSING)


def test_a_cookie_is_no_credential(app: App, alice: Person) -> None:
    answer = requests.get(f"{app.server.url}/v1/users/self", cookies={"access_token": alice.token}, timeout=30)

    assert error_of(answer)[:2] == (400, MISSING)


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "/media", "publish"),
        ("PUT", "/users/self", "publish"),
        ("POST", "/users/self/picture", "publish"),
        ("PUT", "/users/self/password", "publish"),
        ("DELETE", "/users/self", "publish"),
        ("PUT", "/media/{media}", "publish"),
        ("DELETE", "/media/{media}", "publish"),
        ("POST", "/media/{media}/likes", "likes"),
        ("DELETE", "/media/{media}/likes", "likes"),
        ("POST", "/media/{media}/comments", "comments"),
        ("DELETE", "/media/{media}/comments/1", "comments"),
        ("GET", "/users/self/follows", "relationships"),
        ("GET", "/users/self/followed-by", "relationships"),
        ("GET", "/users/self/requested-by", "relationships"),
        ("GET", "/users/self/blocks", "relationships"),
        ("GET", "/users/{user}/relationship", "relationships"),
        ("POST", "/users/{user}/relationship", "relationships"),
    ],
)
def test_a_missing_scope_is_named(owned: tuple[Person, str], method: str, path: str, scope: str) -> None:
    owner, media_id = owned
    others = " ".join({"comments", "likes", "publish", "relationships"} - {scope})
    narrow = owner.app.log_in(owner.username, scope=others)

    answer = narrow.call(method, path.format(user=owner.id, media=media_id))

    status, kind, message = error_of(answer)
    assert (status, kind) == (400, "OAuthPermissionsException")
    assert f"scope={scope}" in message


@pytest.fixture(scope="module")
def owned(app: App) -> tuple[Person, str]:
    """Somebody with a photo."""
    owner = app.sign_up()
    return owner, owner.upload()["id"]

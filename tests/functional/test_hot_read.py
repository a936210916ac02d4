"""DESIGN 3: the home feed within its budget of round trips, and right all the same."""

import re
from collections.abc import Callable

import requests

from support.people import App, Person
from support.server import Running
from support.wait import wait_until

_CALLS = re.compile(r'photoapp_tier_latency_seconds_count\{kind="(session|feed)",method="(\w+)"\} (\S+)')


def calls(server: Running, act: Callable[[], object]) -> dict[tuple[str, str], int]:
    """How often the methods of the two tiers in Redis were called meanwhile, where they were."""

    def count() -> dict[tuple[str, str], int]:
        text = requests.get(f"{server.url}/metrics", headers=server.operator, timeout=30).text
        return {(kind, method): int(float(value)) for kind, method, value in _CALLS.findall(text)}

    before = count()
    act()
    return {call: times - before.get(call, 0) for call, times in count().items() if times > before.get(call, 0)}


def followed_with_photos(app: App, viewer: Person) -> Person:
    """Somebody with photos in the viewer's feed, one liked and one commented by a third."""
    followed, third = app.sign_up(), app.sign_up()
    viewer.relate(followed, "follow")
    photos = [followed.upload() for _ in range(3)]
    third.post(f"/media/{photos[0]['id']}/likes")
    third.post(f"/media/{photos[1]['id']}/comments", text="nice")
    for photo in photos:
        viewer.sees_in_feed(photo["id"])
    return followed


def test_a_warm_page_is_two_round_trips(server: Running, app: App, alice: Person) -> None:
    followed_with_photos(app, alice)
    reads = 5

    def warm() -> bool:
        made = calls(server, lambda: [alice.feed_ids() for _ in range(reads)])
        # The server's own work may call too; what a read calls it calls each time.
        return {call for call, times in made.items() if times >= reads} == {("session", "open"), ("feed", "pages")}

    # On the production shape each process has to have seen the page.
    wait_until(warm, within_s=20, what="a page of two round trips")


def test_a_page_further_down_asks_for_versions_once(server: Running, app: App, alice: Person) -> None:
    """Those of what it shows: which authors are merged is known with the token, as on the first page."""
    followed_with_photos(app, alice)
    newest = alice.feed_ids()[0]
    reads = 5

    def warm() -> bool:
        made = calls(server, lambda: [alice.feed_ids(max_id=newest.partition("_")[0]) for _ in range(reads)])
        assert made[("session", "open")] >= reads
        return made[("session", "versions")] == reads

    wait_until(warm, within_s=20, what="a page that asks for versions once")


def test_a_like_asks_for_versions_with_the_token_only(server: Running, app: App, alice: Person) -> None:
    photo = followed_with_photos(app, alice).upload()
    times = 5

    def like_and_unlike() -> None:
        for _ in range(times):
            alice.post(f"/media/{photo['id']}/likes")
            alice.delete(f"/media/{photo['id']}/likes")

    # On the production shape each process has to have met the photo.
    wait_until(
        lambda: calls(server, like_and_unlike).get(("session", "versions"), 0) < times,
        within_s=20,
        what="likes that ask for no more versions",
    )


def test_a_warm_page_shows_what_changed_since_the_last(app: App, alice: Person) -> None:
    followed = followed_with_photos(app, alice)
    for number in range(10):
        before = alice.get("/users/self/feed")[0]
        followed.post(f"/media/{before['id']}/comments", text=f"number {number}")
        newest = alice.get("/users/self/feed")[0]
        assert newest["comments"]["count"] == before["comments"]["count"] + 1
        assert newest["comments"]["data"][-1]["text"] == f"number {number}"
        for change, likes in ((alice.post, True), (alice.delete, False)):
            change(f"/media/{newest['id']}/likes")
            assert alice.get("/users/self/feed")[0]["user_has_liked"] is likes
        followed.put("/users/self", full_name=f"Name {number}")
        assert alice.get("/users/self/feed")[0]["user"]["full_name"] == f"Name {number}"
    followed.delete(f"/media/{newest['id']}")
    assert newest["id"] not in alice.feed_ids()
    followed.put("/users/self", is_private="true")
    assert len(alice.feed_ids()) == 2
    followed.relate(alice, "block")
    assert alice.feed_ids() == []

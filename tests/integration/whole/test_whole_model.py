"""Everything the API offers, in any order, against a model in plain Python."""

from __future__ import annotations

import secrets
from typing import Any, ClassVar

import pytest
import requests
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from whole_model import NOT_ALLOWED, NOT_FOUND, Account, Model, Photo, Refusal, Remark

from photoapp.sharding.shards import Shards
from support.people import PASSWORD, App, Person, data_of, error_of
from support.world import settled

MOST_ACCOUNTS = 5
ACTIONS = ("follow", "follow", "unfollow", "approve", "ignore", "remove_follower", "block", "unblock")
"""Twice as many follows, so that there is something to end."""
WORDS = st.sampled_from(["", "morning", "#fox in the #snow", "for @nobody"])


class Machine(RuleBasedStateMachine):
    """Two to five people on a server that many examples share."""

    app: ClassVar[App]
    truth: ClassVar[Shards]

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.people: dict[Account, Person] = {}
        self.passwords: dict[Account, str] = {}

    # -- choosing

    def active(self, data: st.DataObject) -> Account:
        return data.draw(st.sampled_from([each for each in self.model.accounts if each.active]), "who")

    def anyone(self, data: st.DataObject) -> Account:
        return data.draw(st.sampled_from(self.model.accounts), "whom")

    def photo(self, data: st.DataObject) -> Photo:
        return data.draw(st.sampled_from(self.model.photos + self.model.gone), "photo")

    def some_photo(self) -> bool:
        return self.someone_active() and bool(self.model.photos + self.model.gone)

    def someone_active(self) -> bool:
        return any(each.active for each in self.model.accounts)

    def few(self) -> bool:
        return len(self.model.accounts) < MOST_ACCOUNTS

    def someone_deleted(self) -> bool:
        return any(not each.active for each in self.model.accounts)

    # -- what people do

    @initialize()
    def two_people(self) -> None:
        self.sign_up()
        self.sign_up()

    @precondition(few)
    @rule()
    def sign_up(self) -> None:
        person = self.app.sign_up()
        account = Account(person.id, person.username)
        self.model.accounts.append(account)
        self.people[account] = person
        self.passwords[account] = PASSWORD

    @precondition(someone_active)
    @rule(data=st.data(), action=st.sampled_from(ACTIONS))
    def relate(self, data: st.DataObject, action: str) -> None:
        actor, other = self.active(data), self.anyone(data)
        answer = self.people[actor].call("POST", f"/users/{other.id}/relationship", data={"action": action})
        if accepted(answer, self.model.relate(actor, other, action)):
            assert data_of(answer) == self.model.relation(actor, other)

    @precondition(someone_active)
    @rule(data=st.data(), private=st.booleans())
    def change_privacy(self, data: st.DataObject, *, private: bool) -> None:
        actor = self.active(data)
        profile = self.people[actor].put("/users/self", is_private=str(private).lower())
        self.model.set_private(actor, private=private)
        assert profile["is_private"] is private

    @precondition(someone_active)
    @rule(data=st.data())
    def rename(self, data: st.DataObject) -> None:
        actor = self.active(data)
        name = f"r{secrets.token_hex(6)}"
        assert self.people[actor].put("/users/self", username=name.upper(), full_name="N")["username"] == name
        actor.username = name

    @precondition(someone_active)
    @rule(data=st.data(), caption=WORDS)
    def upload(self, data: st.DataObject, caption: str) -> None:
        owner = self.active(data)
        media = self.people[owner].upload(caption=caption)
        photo = Photo(media["id"], owner, caption)
        self.model.photos.append(photo)
        self.compare(media, photo, owner)

    @precondition(some_photo)
    @rule(data=st.data(), caption=WORDS)
    def edit_caption(self, data: st.DataObject, caption: str) -> None:
        actor, photo = self.active(data), self.photo(data)
        answer = self.people[actor].call("PUT", f"/media/{photo.id}", data={"caption": caption})
        if accepted(answer, self.owner_refusal(actor, photo)):
            photo.caption = caption
            self.compare(data_of(answer), photo, actor)

    @precondition(some_photo)
    @rule(data=st.data())
    def delete_photo(self, data: st.DataObject) -> None:
        actor, photo = self.active(data), self.photo(data)
        answer = self.people[actor].call("DELETE", f"/media/{photo.id}")
        if accepted(answer, self.owner_refusal(actor, photo)):
            self.model.delete(photo)

    @precondition(some_photo)
    @rule(data=st.data(), active=st.sampled_from([True, True, False]))
    def like(self, data: st.DataObject, *, active: bool) -> None:
        actor, photo = self.active(data), self.photo(data)
        answer = self.people[actor].call("POST" if active else "DELETE", f"/media/{photo.id}/likes")
        if accepted(answer, self.model.photo_refusal(actor, photo)):
            self.model.like(actor, photo, active=active)

    @precondition(some_photo)
    @rule(data=st.data(), text=WORDS)
    def comment(self, data: st.DataObject, text: str) -> None:
        actor, photo = self.active(data), self.photo(data)
        text = text or "fine"
        answer = self.people[actor].call("POST", f"/media/{photo.id}/comments", data={"text": text})
        if accepted(answer, self.model.photo_refusal(actor, photo)):
            photo.remarks.append(Remark(data_of(answer)["id"], actor, text))

    @precondition(lambda self: self.someone_active() and any(each.remarks for each in self.model.photos))
    @rule(data=st.data())
    def remove_comment(self, data: st.DataObject) -> None:
        actor = self.active(data)
        photo = data.draw(st.sampled_from([each for each in self.model.photos if each.remarks]), "photo")
        remark = data.draw(st.sampled_from(photo.remarks), "remark")
        answer = self.people[actor].call("DELETE", f"/media/{photo.id}/comments/{remark.id}")
        refusal = self.model.photo_refusal(actor, photo)
        if refusal is None and actor not in (remark.author, photo.owner):
            refusal = NOT_ALLOWED
        if accepted(answer, refusal):
            photo.remarks.remove(remark)

    @precondition(someone_active)
    @rule(data=st.data())
    def change_password(self, data: st.DataObject) -> None:
        actor = self.active(data)
        person, old = self.people[actor], self.passwords[actor]
        other = self.app.log_in(actor.username, old)
        new = f"new {secrets.token_hex(8)}"
        person.put("/users/self/password", old_password=old, new_password=new)
        self.passwords[actor] = new
        refused(other.call("GET", "/users/self"), (400, "OAuthAccessTokenException"))
        assert person.get("/users/self")["id"] == actor.id

    @precondition(someone_active)
    @rule(data=st.data())
    def delete_account(self, data: st.DataObject) -> None:
        actor = self.active(data)
        self.people[actor].delete("/users/self", password=self.passwords[actor])
        actor.active = False
        refused(self.people[actor].call("GET", "/users/self/feed"), (400, "OAuthAccessTokenException"))

    @precondition(someone_deleted)
    @rule(data=st.data())
    def come_back(self, data: st.DataObject) -> None:
        account = data.draw(st.sampled_from([each for each in self.model.accounts if not each.active]), "who")
        self.people[account] = self.app.log_in(account.username, self.passwords[account])
        account.active = True

    # -- what people see

    @precondition(some_photo)
    @rule(data=st.data())
    def look_at_photo(self, data: st.DataObject) -> None:
        self.check_photo(self.active(data), self.photo(data))

    @precondition(someone_active)
    @rule(data=st.data())
    def look_at_account(self, data: st.DataObject) -> None:
        self.check_account(self.active(data), self.anyone(data))

    @precondition(someone_active)
    @rule(data=st.data())
    def look_at_feed(self, data: st.DataObject) -> None:
        """Late work may keep a photo from it for a moment; what is there belongs there."""
        viewer = self.active(data)
        shown = self.people[viewer].get("/users/self/feed", count=100)
        expected = {photo.id: photo for photo in self.model.feed(viewer)}
        ids = [media["id"] for media in shown]
        assert ids == [id_ for id_ in expected if id_ in ids]
        assert set(ids) >= {id_ for id_, photo in expected.items() if photo.owner is viewer}
        for media in shown:
            self.compare(media, expected[media["id"]], viewer)

    def teardown(self) -> None:
        if not self.model.accounts:
            return
        settled(self.truth)
        for viewer in (each for each in self.model.accounts if each.active):
            person = self.people[viewer]
            for path, photos in (
                ("/users/self/feed", self.model.feed(viewer)),
                ("/users/self/media/liked", self.model.likes_of(viewer)),
            ):
                for count in (1, 100):
                    pages = person.pages(path, count=count)
                    shown = [media for page in pages for media in page]
                    assert [media["id"] for media in shown] == [photo.id for photo in photos]
                    assert all(len(page) == count for page in pages[:-1])
                for media, photo in zip(shown, photos, strict=True):
                    self.compare(media, photo, viewer)
            assert ids_of(person.get("/users/self/requested-by")) == ids(
                each for each in self.model.followed_by(viewer, "requested") if self.model.knows(viewer, each)
            )
            assert ids_of(person.get("/users/self/blocks")) == ids(self.model.blocked(viewer))
            for other in self.model.accounts:
                self.check_account(viewer, other)
            for photo in self.model.photos + self.model.gone:
                self.check_photo(viewer, photo)
        self.check_strangers()

    # -- how it is checked

    def owner_refusal(self, actor: Account, photo: Photo) -> Refusal | None:
        refusal = self.model.photo_refusal(actor, photo)
        return refusal or (None if actor is photo.owner else NOT_ALLOWED)

    def check_account(self, viewer: Account, other: Account) -> None:
        person, model = self.people[viewer], self.model
        answer = person.call("GET", f"/users/{other.id}")
        if accepted(answer, None if viewer is other or model.knows(viewer, other) else NOT_FOUND):
            profile = data_of(answer)
            assert profile["username"] == other.username
            assert profile["counts"] == {
                "media": len(model.recent(other)),
                "follows": len(model.followees(other)),
                "followed_by": len(model.followed_by(other)),
            }
        refusal = model.refusal(viewer, other)
        recent = person.call("GET", f"/users/{other.id}/media/recent", params={"count": 100})
        if accepted(recent, refusal):
            assert ids_of(data_of(recent)) == [photo.id for photo in model.recent(other)]
        for path, people in (("follows", model.followees(other)), ("followed-by", model.followed_by(other))):
            answer = person.call("GET", f"/users/{other.id}/{path}")
            if accepted(answer, refusal):
                shown = ids(each for each in people if viewer is each or model.knows(viewer, each))
                assert ids_of(data_of(answer)) == shown

    def check_photo(self, viewer: Account, photo: Photo) -> None:
        person, refusal = self.people[viewer], self.model.photo_refusal(viewer, photo)
        answer = person.call("GET", f"/media/{photo.id}")
        if accepted(answer, refusal):
            self.compare(data_of(answer), photo, viewer)
        answer = person.call("GET", f"/media/{photo.id}/likes")
        if accepted(answer, refusal):
            assert ids_of(data_of(answer)) == self.likers(viewer, photo)
        answer = person.call("GET", f"/media/{photo.id}/comments")
        if accepted(answer, refusal):
            assert ids_of(data_of(answer)) == self.remarks(viewer, photo)

    def check_strangers(self) -> None:
        """A client without a user sees public accounts only; an image of a private one needs its signature."""
        url, client = self.app.server.url, {"client_id": self.app.client_id}
        for account in self.model.accounts:
            answer = self.app.http.get(f"{url}/v1/users/{account.id}/media/recent", params=client)
            refusal = NOT_FOUND if not account.active else NOT_ALLOWED if account.private else None
            if accepted(answer, refusal):
                assert ids_of(data_of(answer)) == [photo.id for photo in self.model.recent(account)]
        for photo in self.model.photos:
            if photo.owner.active:
                for image in self.people[photo.owner].get(f"/media/{photo.id}")["images"].values():
                    bare = image["url"].partition("?")[0]
                    assert self.app.http.get(image["url"]).status_code == 200
                    assert self.app.http.get(bare).status_code == (403 if photo.owner.private else 200)

    def compare(self, media: dict[str, Any], photo: Photo, viewer: Account) -> None:
        """All that the model knows of a photo, as the viewer may see it."""
        assert media["id"] == photo.id
        assert media["user"]["username"] == photo.owner.username
        assert (media["caption"] or {"text": ""})["text"] == photo.caption
        assert media["likes"]["count"] == len(photo.likes)
        assert ids_of(media["likes"]["data"]) == self.likers(viewer, photo)[:8]
        assert media["user_has_liked"] is (viewer in photo.likes)
        assert media["comments"]["count"] == len(photo.remarks)
        assert ids_of(media["comments"]["data"]) == self.remarks(viewer, photo)[-8:]

    def likers(self, viewer: Account, photo: Photo) -> list[str]:
        known = [each for each in reversed(photo.likes) if each.active and not self.model.cut_off(viewer, each)]
        return [each.id for each in known]

    def remarks(self, viewer: Account, photo: Photo) -> list[str]:
        return [
            remark.id
            for remark in photo.remarks
            if remark.author.active and not self.model.cut_off(viewer, remark.author)
        ]


def accepted(answer: requests.Response, refusal: Refusal | None) -> bool:
    """Whether the model lets it pass; the answer must say the same."""
    if refusal is not None:
        refused(answer, refusal)
        return False
    data_of(answer)
    return True


def refused(answer: requests.Response, refusal: Refusal) -> None:
    assert error_of(answer)[:2] == refusal, answer.text


def ids(accounts: Any) -> list[str]:
    return [account.id for account in accounts]


def ids_of(items: list[dict[str, Any]]) -> list[str]:
    return [item["id"] for item in items]


@pytest.fixture
def examples(request: pytest.FixtureRequest) -> int:
    """Fewer where each costs more."""
    return {"sqlite": 20, "postgresql": 8, "stack": 6}[request.node.callspec.params["server"]]


def test_whatever_people_do_everybody_sees_what_the_model_says(app: App, truth: Shards, examples: int) -> None:
    class OnThisServer(Machine):
        pass

    OnThisServer.app, OnThisServer.truth = app, truth
    profile = settings(
        max_examples=examples,
        stateful_step_count=25,
        deadline=None,
        derandomize=True,
        database=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(OnThisServer, settings=profile)

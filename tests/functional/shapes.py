"""The objects of API.md section 3, key for key and type for type."""

from typing import Any

SHORT = {"id", "username", "full_name", "profile_picture"}
FULL = SHORT | {"bio", "website", "is_private", "counts"}
MEDIA = {
    "id", "type", "created_time", "link", "user", "caption", "tags", "filter", "attribution", "location", "images",
    "likes", "comments", "users_in_photo", "user_has_liked", "renditions", "width", "height", "blurhash", "alt_text",
    "edited_time",
}  # fmt: skip


def check_card(user: dict[str, Any]) -> None:
    """user(short)."""
    assert user.keys() == SHORT
    assert all(isinstance(value, str) for value in user.values())
    assert user["id"].isdigit()


def check_profile(user: dict[str, Any]) -> None:
    """user(full)."""
    assert user.keys() == FULL
    check_card({name: user[name] for name in SHORT})
    assert isinstance(user["bio"], str)
    assert isinstance(user["website"], str)
    assert isinstance(user["is_private"], bool)
    assert user["counts"].keys() == {"media", "follows", "followed_by"}
    assert all(type(count) is int for count in user["counts"].values())


def check_comment(comment: dict[str, Any]) -> None:
    """comment."""
    assert comment.keys() == {"id", "created_time", "text", "from"}
    assert comment["id"].isdigit()
    assert comment["created_time"].isdigit()
    assert isinstance(comment["text"], str)
    check_card(comment["from"])


def check_relation(relation: dict[str, Any]) -> None:
    """relationship."""
    assert relation.keys() == {"outgoing_status", "incoming_status", "target_user_is_private"}
    assert relation["outgoing_status"] in {"none", "follows", "requested"}
    assert relation["incoming_status"] in {"none", "followed_by", "requested_by", "blocked_by_you"}
    assert isinstance(relation["target_user_is_private"], bool)


def check_media(media: dict[str, Any], *, with_user: bool = True) -> None:
    """media; ``with_user`` says that a user's token asked."""
    assert media.keys() == (MEDIA if with_user else MEDIA - {"user_has_liked"})
    first, _, second = media["id"].partition("_")
    assert first.isdigit()
    assert second == media["user"]["id"]
    assert media["type"] == "image"
    assert media["created_time"].isdigit()
    check_card(media["user"])
    if media["caption"] is not None:
        check_comment(media["caption"])
    assert all(isinstance(tag, str) for tag in media["tags"])
    assert media["attribution"] is None
    if media["location"] is not None:
        assert media["location"].keys() <= {"id", "name", "latitude", "longitude"}
        assert isinstance(media["location"]["latitude"], float)
    assert media["images"].keys() == {"thumbnail", "low_resolution", "standard_resolution"}
    for image in [*media["images"].values(), *media["renditions"].values()]:
        assert image.keys() == {"url", "width", "height"}
        assert image["url"].startswith("http")
        assert type(image["width"]) is int
        assert type(image["height"]) is int
    for kind, check in (("likes", check_card), ("comments", check_comment)):
        assert media[kind].keys() == {"count", "data"}
        assert type(media[kind]["count"]) is int
        for each in media[kind]["data"]:
            check(each)
    for tagged in media["users_in_photo"]:
        assert tagged.keys() == {"user", "position"}
        check_card(tagged["user"])
        assert tagged["position"].keys() == {"x", "y"}
    assert type(media["width"]) is int
    assert type(media["height"]) is int
    assert isinstance(media["blurhash"], str)
    assert isinstance(media["alt_text"], str)
    assert media["edited_time"] is None or media["edited_time"].isdigit()
    if with_user:
        assert isinstance(media["user_has_liked"], bool)

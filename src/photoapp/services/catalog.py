"""Reading accounts, viewers and photos, many at a time, through the versioned caches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar

from pyramid.config import Configurator
from sqlalchemy import Row, Select, select

from photoapp.errors import TierUnavailable
from photoapp.models import (
    Block,
    BlockedBy,
    Comment,
    Following,
    FollowState,
    Like,
    LikesSlot,
    Media,
    MediaTag,
    PersonInPhoto,
    User,
)
from photoapp.services.facts import Account, Photo, Remark
from photoapp.services.slots import likes_of
from photoapp.services.versioned import VersionedCache
from photoapp.sharding.ids import MAX_ID
from photoapp.sharding.newest import newest_per_parent
from photoapp.sharding.shards import Shards, Tables
from photoapp.tiers.cache import CacheTier
from photoapp.tiers.session import SessionTier
from photoapp.visibility import ANYONE, Viewer

T = TypeVar("T")

_ACCOUNT, _MEDIA = "a:", "m:"
_NOTHING: Mapping[str, int] = MappingProxyType({})
_LIKES_KEPT = 20_000
"""Answers to "does this viewer like that photo" that a process keeps: about 250 bytes each."""

_OWNERS_KEPT = 50_000
"""Owners of photos that a process remembers: about 150 bytes each."""

INLINE_KEPT = 16
"""Likes and comments kept with a photo: twice what is shown, so that eight are left when some are filtered for a
viewer.
"""


def account_version(id_: int) -> str:
    """The name of the version of an account: its card, its counts, whom it follows and blocks, its tokens."""
    return f"{_ACCOUNT}{id_}"


def media_version(id_: int) -> str:
    """The name of the version of a photo: its text, counts, newest likes and comments, and who likes it."""
    return f"{_MEDIA}{id_}"


class Catalog:
    """One per process."""

    def __init__(self, *, shards: Shards, session: SessionTier, cache: CacheTier) -> None:
        self._shards = shards
        self._session = session
        mib = 1024 * 1024
        self._accounts = VersionedCache(
            "card", cache=cache, load=self._load_accounts, decode=lambda raw: Account(**raw), size_bytes=8 * mib
        )
        self._viewers = VersionedCache(
            "viewer", cache=cache, load=self._load_viewers, decode=_viewer, size_bytes=8 * mib
        )
        self._photos = VersionedCache("media", cache=cache, load=self._load_photos, decode=_photo, size_bytes=24 * mib)
        self._cache = cache
        self._likes: dict[tuple[int, int], tuple[int, bool]] = {}
        """By viewer and photo: the photo's version, and whether the viewer likes it."""
        self._owners: dict[int, int] = {}
        """By photo."""

    def versions(
        self, *, accounts: Iterable[int] = (), photos: Iterable[int] = (), known: Mapping[str, int] = _NOTHING
    ) -> Versions | None:
        """The versions of these accounts and photos in one round trip; None while the session tier is away.

        ``known`` has versions by name that were fetched since the request began: they are not asked for again.
        """
        account_ids, photo_ids = list(accounts), list(photos)
        names = [f"{_ACCOUNT}{id_}" for id_ in account_ids] + [f"{_MEDIA}{id_}" for id_ in photo_ids]
        asked = [name for name in names if name not in known]
        if asked:
            try:
                known = {**known, **dict(zip(asked, self._session.versions(asked), strict=True))}
            except TierUnavailable:
                return None
        values = [known[name] for name in names]
        return Versions(
            dict(zip(account_ids, values, strict=False)),
            dict(zip(photo_ids, values[len(account_ids) :], strict=True)),
        )

    def accounts(
        self, ids: Iterable[int], *, versions: Versions | None = None, away: set[str] | None = None
    ) -> dict[int, Account]:
        """Accounts by id, whatever their state; unknown ids are left out.

        With ``away``, what is in no cache and whose database is away is left out too, and the database's name added.
        """
        return self._through(self._accounts, list(dict.fromkeys(ids)), "accounts", versions, away)

    def account(self, id_: int, *, known: Mapping[str, int] = _NOTHING) -> Account | None:
        """One account, or None. ``known`` as with ``versions``."""
        version = known.get(account_version(id_))
        return self.accounts([id_], versions=None if version is None else Versions({id_: version}, {})).get(id_)

    def viewer(self, id_: int | None, *, known: Mapping[str, int] = _NOTHING) -> Viewer:
        """Whom the viewer follows, blocks and is blocked by. ``ANYONE`` for a client without a user.

        ``known`` as with ``versions``.
        """
        if id_ is None:
            return ANYONE
        version = known.get(account_version(id_))
        versions = None if version is None else Versions({id_: version}, {})
        return self._through(self._viewers, [id_], "accounts", versions, None)[id_]

    def photos(
        self, ids: Iterable[int], *, versions: Versions | None = None, away: set[str] | None = None
    ) -> dict[int, Photo]:
        """Photos by id, deleted ones too; unknown ids are left out. ``away`` as with ``accounts``."""
        return self._through(self._photos, list(dict.fromkeys(ids)), "photos", versions, away)

    def photo(self, id_: int, *, known: Mapping[str, int] = _NOTHING) -> Photo | None:
        """One photo, or None. ``known`` as with ``versions``."""
        version = known.get(media_version(id_))
        photo = self.photos([id_], versions=None if version is None else Versions({}, {id_: version})).get(id_)
        if photo is not None:
            self._remember_owner(id_, photo.owner_id)
        return photo

    def versions_for(self, photo_id: int) -> list[str]:
        """What a photo and its owner will be asked by, in a process that has met it."""
        owner_id = self._owners.get(photo_id)
        return [] if owner_id is None else [media_version(photo_id), account_version(owner_id)]

    def owner_of(self, photo_id: int) -> int | None:
        """Whose photo it is, deleted or not; None for an unknown one. It never changes, so it is not asked twice."""
        owner_id = self._owners.get(photo_id)
        if owner_id is None:
            rows = self._gather_ids([photo_id], _owner_rows)
            if not rows:
                return None
            owner_id = rows[0].owner_id
            self._remember_owner(photo_id, owner_id)
        return owner_id

    def _remember_owner(self, photo_id: int, owner_id: int) -> None:
        if len(self._owners) >= _OWNERS_KEPT:
            self._owners.clear()
        self._owners[photo_id] = owner_id

    def peek(self, photo_id: int) -> Photo | None:
        """The photo as this process saw it last: a hint whose versions to ask for, never an answer."""
        return self._photos.peek(photo_id)

    def liked(self, viewer_id: int, photo_ids: Sequence[int], versions: Versions | None) -> set[int]:
        """Which of the photos the viewer likes, by the truth on the photos' shards.

        Kept under the photo's version: a like moves it, so an entry is right as long as it can be found.
        """
        if versions is None:
            return self._load_liked(viewer_id, photo_ids)
        result, unknown = set(), []
        for id_ in photo_ids:
            version, likes = self._likes.get((viewer_id, id_), (None, False))
            if version != versions.photos[id_]:
                unknown.append(id_)
            elif likes:
                result.add(id_)
        if unknown:
            liked = self._fill_liked(viewer_id, {id_: versions.photos[id_] for id_ in unknown})
            if len(self._likes) + len(unknown) > _LIKES_KEPT:
                self._likes.clear()
            for id_ in unknown:
                self._likes[viewer_id, id_] = (versions.photos[id_], id_ in liked)
            result |= liked
        return result

    def _fill_liked(self, viewer_id: int, versions: dict[int, int]) -> set[int]:
        keys = {f"liked:{viewer_id}:{id_}:{version:x}": id_ for id_, version in versions.items()}
        held = self._cache.get_many(list(keys))
        result = {keys[key] for key, value in held.items() if value}
        absent = {key: id_ for key, id_ in keys.items() if key not in held}
        if absent:
            liked = self._load_liked(viewer_id, list(absent.values()))
            self._cache.set_many({key: id_ in liked for key, id_ in absent.items()}, ttl_s=3600)
            result |= liked
        return result

    def _through(
        self, values: VersionedCache[T], ids: list[int], kind: str, versions: Versions | None, away: set[str] | None
    ) -> dict[int, T]:
        load = None if away is None else partial(self._shards.reachable, read=values.load, away=away)
        known: dict[int, int] = getattr(versions, kind) if versions is not None else {}
        asked = [id_ for id_ in ids if id_ not in known]
        if asked:
            more = self.versions(accounts=asked) if kind == "accounts" else self.versions(photos=asked)
            if more is None:
                return values.uncached(ids, load=load)
            known = {**known, **getattr(more, kind)}
        return values.get_many({id_: known[id_] for id_ in ids}, load=load)

    def _gather_ids(self, ids: Iterable[int], build: Callable[[Tables, list[int]], Select[Any]]) -> list[Any]:
        groups = self._shards.by_shard(ids)
        return self._shards.gather(groups, lambda tables, shard: build(tables, groups[shard]))

    def _load_accounts(self, ids: list[int]) -> dict[int, Any]:
        def cards(tables: Tables, members: list[int]) -> Select[Any]:
            user = tables(User).c
            return select(
                user.id, user.username, user.full_name, user.bio, user.website, user.picture, user.is_private,
                user.state, user.media_count, user.follows_count, user.followed_by_count,
            ).where(user.id.in_(members))  # fmt: skip

        result = {}
        for row in self._gather_ids(ids, cards):
            raw = _json_object(row)
            picture = raw.pop("picture")
            result[row.id] = raw | {"picture_key": picture["key"] if picture else None}
        return result

    def _load_viewers(self, ids: list[int]) -> dict[int, Any]:
        result: dict[int, dict[str, list[int]]] = {}
        for shard, members in self._shards.by_shard(ids).items():
            with self._shards.read(shard) as connection:
                for id_ in members:
                    follows = select(Following.followed_id).where(
                        Following.follower_id == id_, Following.state == FollowState.ACCEPTED
                    )
                    blocks = select(Block.blocked_id).where(Block.blocker_id == id_, Block.active)
                    blocked_by = select(BlockedBy.blocker_id).where(BlockedBy.blocked_id == id_, BlockedBy.active)
                    result[id_] = {
                        "id": id_,  # type: ignore[dict-item]
                        "follows": list(connection.execute(follows).scalars()),
                        "blocks": list(connection.execute(blocks).scalars()),
                        "blocked_by": list(connection.execute(blocked_by).scalars()),
                    }
        return result

    def _load_photos(self, ids: list[int]) -> dict[int, Any]:
        rows = {row.id: _json_object(row) for row in self._gather_ids(ids, _photo_rows)}
        for raw in rows.values():
            edited = raw.pop("edited_at")
            raw |= {
                "edited_at_s": int(edited.timestamp()) if edited else None,
                "tags": [], "liker_ids": [], "remarks": [], "people": [],
            }  # fmt: skip
        if not rows:
            return {}
        for row in self._newest(Like, "version", rows, ["media_id", "user_id", "version"], {"active": True}):
            rows[row.media_id]["liker_ids"].append((row.version, row.user_id))
        for row in self._newest(Comment, "id", rows, ["media_id", "id", "user_id", "text"], {"active": True}):
            rows[row.media_id]["remarks"].append((row.id, row.user_id, row.text))
        for row in self._gather_ids(rows, _tag_rows):
            rows[row.media_id]["tags"].append(row.tag)
        for row in self._gather_ids(rows, _people_rows):
            rows[row.media_id]["people"].append((row.user_id, row.x, row.y))
        for raw in rows.values():
            raw["liker_ids"] = [user_id for _, user_id in sorted(raw["liker_ids"], reverse=True)]
            raw["remarks"].sort(reverse=True)
            raw["tags"].sort()
            raw["people"].sort()
        return rows

    def _newest(self, model: Any, key: str, ids: Iterable[int], columns: list[str], where: dict[str, Any]) -> list[Any]:
        groups = self._shards.by_shard(ids)
        return self._shards.gather(
            groups,
            lambda tables, shard: newest_per_parent(
                tables(model),
                parent="media_id",
                key=key,
                bounds=[(id_, MAX_ID) for id_ in groups[shard]],
                limit=INLINE_KEPT,
                columns=columns,
                where=where,
                sqlite=self._shards.map.database_of(shard).is_sqlite,
            ),
        )

    def _load_liked(self, viewer_id: int, photo_ids: Sequence[int]) -> set[int]:
        def liked(tables: Tables, members: list[int]) -> Select[Any]:
            like = tables(Like).c
            return select(like.media_id).where(like.media_id.in_(members), like.user_id == viewer_id, like.active)

        return {row.media_id for row in self._gather_ids(photo_ids, liked)}


class Versions:
    """Versions as one round trip gave them."""

    __slots__ = ("accounts", "photos")

    def __init__(self, accounts: dict[int, int], photos: dict[int, int]) -> None:
        self.accounts = accounts
        self.photos = photos


def _json_object(row: Row[Any]) -> dict[str, Any]:
    # A table copied into a schema names its columns by a subclass of str, which is no key of a JSON object.
    return {str(name): value for name, value in row._mapping.items()}  # noqa: SLF001 - SQLAlchemy's public name for it


def _viewer(raw: dict[str, Any]) -> Viewer:
    return Viewer(raw["id"], frozenset(raw["follows"]), frozenset(raw["blocks"]), frozenset(raw["blocked_by"]))


def _photo(raw: dict[str, Any]) -> Photo:
    remarks = [Remark(*remark) for remark in raw["remarks"]]
    people = [(user_id, x, y) for user_id, x, y in raw["people"]]
    return Photo(**{**raw, "remarks": remarks, "people": people})


def _photo_rows(tables: Tables, members: list[int]) -> Select[Any]:
    photos = tables(Media)
    media = photos.c
    return select(
        media.id, media.owner_id, media.state, media.is_private, media.caption_id, media.caption, media.filter,
        media.alt_text, media.latitude, media.longitude, media.width, media.height, media.blurhash, media.renditions,
        media.edited_at, likes_of(photos, tables(LikesSlot)), media.comments_count,
    ).where(media.id.in_(members))  # fmt: skip


def _owner_rows(tables: Tables, members: list[int]) -> Select[Any]:
    media = tables(Media).c
    return select(media.id, media.owner_id).where(media.id.in_(members))


def _tag_rows(tables: Tables, members: list[int]) -> Select[Any]:
    tag = tables(MediaTag).c
    return select(tag.media_id, tag.tag).where(tag.media_id.in_(members))


def _people_rows(tables: Tables, members: list[int]) -> Select[Any]:
    person = tables(PersonInPhoto).c
    return select(person.media_id, person.user_id, person.x, person.y).where(person.media_id.in_(members))


def includeme(config: Configurator) -> None:
    """``registry.catalog``."""
    registry = config.registry
    registry.catalog = Catalog(shards=registry.shards, session=registry.tiers.session, cache=registry.tiers.cache)

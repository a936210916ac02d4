"""People, photos and who follows whom, written straight into the shards: what a benchmark then reads by HTTP."""

from __future__ import annotations

import configparser
import itertools
import secrets
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from photoapp.models import Base, Comment, Follow, Following, FollowState, Like, Media, Token, User
from photoapp.services.tokens import digest_of
from photoapp.settings import parse_settings
from photoapp.sharding.ids import EPOCH_MS, id_from, shard_of, ticks_at
from photoapp.sharding.map import ShardMap, ShardSettings
from photoapp.sharding.schema import prepare
from photoapp.sharding.shards import Shards

_CLIENT_ID = "be" * 16
_worlds = itertools.count()
_IDS_EACH = 1_000_000
"""Of a world: two in one installation have neither ids nor names in common."""
_SIDES = {
    "thumbnail": (150, 150),
    "low_resolution": (306, 230),
    "standard_resolution": (612, 459),
    "large": (1080, 810),
}


def laptop_shards(ini: Path) -> Shards:
    """The shards of an ini file, made if need be."""
    sections = configparser.ConfigParser(interpolation=configparser.BasicInterpolation())
    sections.optionxform = str  # type: ignore[assignment,method-assign]
    sections.read(ini)
    shards = Shards(ShardMap(parse_settings(ShardSettings, "shards", dict(sections["app:main"]))))
    prepare(shards, ini)
    return shards


class World:
    """Rows are collected and then written at once; they look like those that the server itself would have written."""

    def __init__(self, shards: Shards) -> None:
        self.shards = shards
        self._rows: dict[tuple[int, type[Base]], list[dict[str, Any]]] = defaultdict(list)
        self._drawn = next(_worlds) * _IDS_EACH
        self._now_ms = int(datetime.now(UTC).timestamp() * 1000)
        self._oldest_s = (self._now_ms - EPOCH_MS) / 1000 - 3600.0

    def person(self, *, followers: int = 0) -> int:
        """A new account, on the shards in turn; it has been there for longer than any photo."""
        id_ = self._id(self._drawn % self.shards.count, self._oldest_s)
        name = f"person{self._drawn}"
        self._add(
            id_, User, id=id_, username=name, full_name=name.title(), email=f"{name}@mail.example", password_hash="",
            username_claim_id=self._drawn, email_claim_id=self._drawn, followed_by_count=followers,
        )  # fmt: skip
        return id_

    def follow(self, follower_id: int, followed_id: int) -> None:
        """Truth and mirror."""
        edge = {"follower_id": follower_id, "followed_id": followed_id, "state": int(FollowState.ACCEPTED)}
        version = self._id(shard_of(followed_id), self._oldest_s)
        self._add(followed_id, Follow, **edge, version=version)
        self._add(follower_id, Following, **edge, version=version)

    def photo(self, owner_id: int, *, age_s: float, likers: Sequence[int] = (), commenters: Sequence[int] = ()) -> int:
        """A public photo with a caption, likes and comments."""
        shard = shard_of(owner_id)
        id_, caption_id = self._id(shard, age_s), self._id(shard, age_s)
        base = f"public/{secrets.token_hex(20)}"
        self._add(
            id_, Media, id=id_, owner_id=owner_id, caption="Late light over the harbour, the boats are in #harbour",
            caption_id=caption_id, width=4000, height=3000, blurhash="LEHV6nWB2yk8pyo0adR*.7kCMdnj", storage="local",
            is_private=False, likes_count=len(likers), comments_count=len(commenters),
            original={
                "key": f"original/{base[-2:]}/{base[-40:]}", "sha256": "0" * 64, "size_bytes": 1,
                "content_type": "image/jpeg",
            },
            renditions=[
                {"name": name, "key": f"{base}/{name}.jpg", "width": width, "height": height}
                for name, (width, height) in _SIDES.items()
            ],
        )  # fmt: skip
        for liker_id in likers:
            self._add(id_, Like, media_id=id_, user_id=liker_id, active=True, version=self._id(shard, age_s - 1))
        for author_id in commenters:
            comment_id = self._id(shard, age_s - 2)
            self._add(
                id_, Comment, id=comment_id, media_id=id_, user_id=author_id, text="This one is going on the wall.",
                version=comment_id,
            )  # fmt: skip
        return id_

    def token(self, user_id: int) -> str:
        """A bearer token of the account."""
        token = f"{user_id}.{_CLIENT_ID[:7]}.{secrets.token_hex(32)}"
        self._add(
            user_id, Token, sha256=digest_of(token), user_id=user_id, client_id=_CLIENT_ID, scope="basic likes publish",
            created_at=datetime.now(UTC),
        )  # fmt: skip
        return token

    def write(self) -> None:
        """Write everything, one transaction per shard."""
        for shard in range(self.shards.count):
            with self.shards.write(shard) as writer:
                for (where, model), rows in self._rows.items():
                    if where == shard:
                        writer.execute(insert(model), rows)
        self._rows.clear()

    def close(self) -> None:
        """Let go of the databases."""
        self.shards.close()

    def _add(self, near_id: int, model: type[Base], **values: Any) -> None:
        self._rows[shard_of(near_id), model].append(values)

    def _id(self, shard: int, age_s: float) -> int:
        # Counted on from the moment's first tick: ages are a second apart or the same, and nobody draws a million ids.
        self._drawn += 1
        return id_from(ticks_at(self._now_ms - int(age_s * 1000)) + self._drawn, shard)

"""Photos: publishing, editing, deleting."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from pyramid.config import Configurator
from sqlalchemy import delete, insert, select, update

from photoapp.errors import NotFound, TierUnavailable
from photoapp.imaging.result import ProcessedImage
from photoapp.models import AccountState, Delivery, Media, MediaState, MediaTag, Mention, PersonInPhoto, User
from photoapp.services.captions import hashtags, mentions
from photoapp.services.catalog import account_version, media_version
from photoapp.services.feeds import FeedSettings
from photoapp.services.foresight import MERGING_VERSION
from photoapp.sharding.writer import Writer
from photoapp.tiers.feed import author_list
from photoapp.tiers.storage import ORIGINAL, PRIVATE, PUBLIC, StorageTier

STORING_AT_ONCE = 4
"""Uploads of a process that wait for the storage: while it is slow, the other threads go on reading (PROMISES 3.2)."""
PLACE_WAIT_S = 1.0


@dataclass(frozen=True, slots=True)
class PersonTag:
    """Somebody tagged at a spot of the photo; ``x`` and ``y`` from 0 to 1."""

    user_id: int
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Details:
    """What the uploader says of the photo."""

    caption: str = ""
    filter: str = "Normal"
    alt_text: str = ""
    latitude: float | None = None
    longitude: float | None = None
    people: Sequence[PersonTag] = ()


@dataclass(frozen=True, slots=True)
class StoredImage:
    """Objects that are durable and verified, and belong to no row yet."""

    image: ProcessedImage
    is_private: bool
    original: dict[str, Any]
    renditions: list[dict[str, Any]]


class PhotoService:
    """What happens to photos; each method that takes a writer writes the owner's shard."""

    def __init__(self, *, storage: StorageTier, settings: FeedSettings) -> None:
        self._storage = storage
        self._places = threading.BoundedSemaphore(STORING_AT_ONCE)
        self._settings = settings

    def store(self, data: bytes, image: ProcessedImage, *, sha256: str, is_private: bool) -> StoredImage:
        """Put the original and its renditions. Raises ``TierUnavailable``; what was put by then is swept up later.

        Keys are unguessable and never a client's file name; those of a private account stand where a signature is
        needed.
        """
        token = secrets.token_hex(20)
        original_key = f"{ORIGINAL}/{token[:2]}/{token}"
        base = f"{prefix_for(is_private=is_private)}/{secrets.token_hex(20)}"
        renditions = [
            {"name": each.name, "key": f"{base}/{each.name}.jpg", "width": each.width, "height": each.height}
            for each in image.renditions
        ]
        put = partial(self._storage.put, content_type="image/jpeg")
        puts = [partial(self._storage.put, original_key, data, content_type=image.content_type, sha256=sha256)]
        puts += [partial(put, row["key"], each.data) for row, each in zip(renditions, image.renditions, strict=True)]
        self._put_together(puts)
        original = {
            "key": original_key, "sha256": sha256, "size_bytes": len(data), "content_type": image.content_type,
        }  # fmt: skip
        return StoredImage(image, is_private, original, renditions)

    def store_picture(self, image: ProcessedImage) -> str:
        """Put a profile picture; the answer is its key. Public: it is part of the card, private account or not."""
        thumbnail = next(each for each in image.renditions if each.name == "thumbnail")
        key = f"{PUBLIC}/{secrets.token_hex(20)}/picture.jpg"
        self._put_together([partial(self._storage.put, key, thumbnail.data, content_type="image/jpeg")])
        return key

    def _put_together(self, puts: Sequence[Callable[[], None]]) -> None:
        """All at once: a storage that takes 5 s for one object takes no longer for four."""
        if not self._places.acquire(timeout=PLACE_WAIT_S):
            raise TierUnavailable(self._storage.kind, "it is slow, and other uploads wait for it")
        try:
            with ThreadPoolExecutor(len(puts)) as pool:
                for done in [pool.submit(put) for put in puts]:
                    done.result()
        finally:
            self._places.release()

    def publish(self, writer: Writer, *, owner_id: int, stored: StoredImage, details: Details) -> int:
        """Write the photo's row and what must follow; the answer is its id. Raises ``NotFound`` without an owner."""
        owner = writer.execute(
            select(User.is_private, User.state, User.followed_by_count, User.merges)
            .where(User.id == owner_id)
            .with_for_update(read=True, key_share=True)  # plain SHARE: two uploads would wait for each other's count
        ).one()
        if owner.state != AccountState.ACTIVE:
            raise NotFound("no such user")
        media_id, caption_id = writer.next_id(), writer.next_id()
        pushed = owner.followed_by_count <= self._settings.push_limit
        writer.execute(
            insert(Media).values(
                id=media_id,
                owner_id=owner_id,
                delivery=int(Delivery.PUSH if pushed else Delivery.MERGE),
                caption=details.caption,
                caption_id=caption_id,
                filter=details.filter,
                alt_text=details.alt_text,
                latitude=details.latitude,
                longitude=details.longitude,
                width=stored.image.width,
                height=stored.image.height,
                blurhash=stored.image.blurhash,
                storage=self._storage.name,
                is_private=stored.is_private,
                original=stored.original,
                renditions=stored.renditions,
            )
        )
        note_words(writer, media_id, source_id=caption_id, text=details.caption)
        if details.people:
            writer.execute(
                insert(PersonInPhoto),
                [
                    {"media_id": media_id, "user_id": person.user_id, "x": person.x, "y": person.y}
                    for person in details.people
                ],
            )
        counted: dict[str, Any] = {"media_count": User.media_count + 1}
        if not pushed:
            counted["merges"] = True  # never back to what we read: another upload may have set it since
        writer.execute(update(User).where(User.id == owner_id).values(counted))
        if owner.is_private != stored.is_private:
            # The account changed sides while the bytes were stored: the objects stand under the wrong prefix (DESIGN
            # 6).
            writer.post("media.rekey", {"media_id": media_id}, queue="slow")
        writer.post("feed.fan_out", {"media_id": media_id, "owner_id": owner_id})
        if not pushed and not owner.merges:
            writer.moves(MERGING_VERSION)
            writer.post("versions.move", {"names": [MERGING_VERSION]})
        writer.effects.feed_pushes += [(each, media_id) for each in own_lists(owner_id, merged=not pushed)]
        writer.moves(account_version(owner_id))
        return media_id

    def edit(self, writer: Writer, media_id: int, *, caption: str | None, alt_text: str | None) -> None:
        """Change the words of a photo. Raises ``NotFound`` if it is gone."""
        row = self._live(writer, media_id)
        values: dict[str, Any] = {"edited_at": datetime.now(UTC)}
        if caption is not None:
            values["caption"] = caption
            forget_words(writer, media_id, source_id=row.caption_id)
            note_words(writer, media_id, source_id=row.caption_id, text=caption)
        if alt_text is not None:
            values["alt_text"] = alt_text
        writer.execute(update(Media).where(Media.id == media_id).values(**values))
        writer.moves(media_version(media_id))
        writer.post("versions.move", {"names": [media_version(media_id)]})

    def delete(self, writer: Writer, media_id: int) -> None:
        """Turn the photo into a tombstone at once; a job removes its objects. Raises ``NotFound`` if it is gone."""
        row = self._live(writer, media_id)
        writer.effects.strict = True
        writer.execute(
            update(Media)
            .where(Media.id == media_id)
            .values(state=int(MediaState.DELETED), deleted_at=datetime.now(UTC))
        )
        writer.execute(update(User).where(User.id == row.owner_id).values(media_count=User.media_count - 1))
        writer.moves(media_version(media_id), account_version(row.owner_id))
        writer.post("media.remove", {"media_id": media_id, "owner_id": row.owner_id}, queue="slow")

    @staticmethod
    def _live(writer: Writer, media_id: int) -> Any:
        row = writer.execute(
            select(Media.owner_id, Media.caption_id)
            .where(Media.id == media_id, Media.state == MediaState.LIVE)
            .with_for_update()
        ).one_or_none()
        if row is None:
            raise NotFound("no such media")
        return row


def own_lists(owner_id: int, *, merged: bool) -> list[int]:
    """The lists in the feed tier that take an account's photo whoever follows it."""
    return [owner_id, author_list(owner_id)] if merged else [owner_id]


def prefix_for(*, is_private: bool) -> str:
    """Where renditions stand: a CDN serves one prefix freely and the other signed."""
    return PRIVATE if is_private else PUBLIC


def note_words(writer: Writer, media_id: int, *, source_id: int, text: str) -> None:
    """Store the hashtags and mentions of a caption or a comment. A tag that is there keeps its first tagging."""
    for tag in hashtags(text):
        writer.insert_once(
            MediaTag, {"media_id": media_id, "tag": tag, "tagging_id": writer.next_id(), "source_id": source_id}
        )
    for username in mentions(text):
        writer.insert_once(Mention, {"media_id": media_id, "source_id": source_id, "username": username})


def forget_words(writer: Writer, media_id: int, *, source_id: int) -> None:
    """Remove what ``note_words`` stored for a text."""
    writer.execute(delete(MediaTag).where(MediaTag.media_id == media_id, MediaTag.source_id == source_id))
    writer.execute(delete(Mention).where(Mention.media_id == media_id, Mention.source_id == source_id))


def includeme(config: Configurator) -> None:
    """``registry.photos``."""
    registry = config.registry
    registry.photos = PhotoService(storage=registry.tiers.storage, settings=registry.feed_settings)

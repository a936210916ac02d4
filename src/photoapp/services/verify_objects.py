"""``verify``: that every photo's objects are in storage, whole, and where its account's privacy demands."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Row, Select, select, update

from photoapp.errors import DigestMismatch, ObjectNotFound
from photoapp.imaging.pool import ImagingPool
from photoapp.models import Media, MediaState, User
from photoapp.services.catalog import account_version
from photoapp.services.photos import prefix_for
from photoapp.services.verify_walk import Difference, Write, batches, has_waiting
from photoapp.sharding.shards import Shards
from photoapp.tiers.storage import StorageTier

BATCH = 100
AT_ONCE = 8
"""Objects asked for at a time: each may be a round trip."""
REKEYS = ("account.rekey", "media.rekey")


class ObjectCheck:
    """One per run."""

    def __init__(self, *, shards: Shards, storage: StorageTier, imaging: ImagingPool) -> None:
        self._shards = shards
        self._storage = storage
        self._imaging = imaging

    def find(self, shard: int) -> Iterator[Difference]:
        """Live photos on this shard with a missing, cut or misplaced object, and accounts without their picture's.

        Photos that another storage tier holds are passed over.
        """
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for rows in batches(self._shards, shard, _placed(), key=[Media.id], size=BATCH):
                ours = [row for row in rows if row.storage == self._storage.name]
                for row, faults in zip(ours, pool.map(self._faults, ours), strict=True):
                    # A photo may be deleted or re-keyed while it is looked at.
                    if faults and self._unchanged(shard, row):
                        yield from self._differences(shard, row, faults)
            pictured = select(User.id, User.picture).where(User.picture.is_not(None))
            for rows in batches(self._shards, shard, pictured, key=[User.id], size=BATCH):
                owners = [row for row in rows if row.picture and row.picture["storage"] == self._storage.name]
                sizes = pool.map(self._size, [row.picture["key"] for row in owners])
                for row, size in zip(owners, sizes, strict=True):
                    if size is None:
                        yield Difference(
                            "object.picture", f"the picture of account {row.id} is not in storage",
                            partial(_forget_picture, shard, row.id, row.picture["key"]),
                        )  # fmt: skip

    def _differences(self, shard: int, row: Row[Any], faults: dict[str, list[str]]) -> Iterator[Difference]:
        if lost := faults.get("lost"):
            yield Difference("object.original", f"the original of photo {row.id} {lost[0]}")
        if names := faults.get("missing"):
            yield Difference(
                "object.rendition", f"photo {row.id} lacks {', '.join(names)}",
                None if lost else partial(self._render_again, row, names),
            )  # fmt: skip
        if faults.get("misplaced"):
            late = has_waiting(self._shards, shard, REKEYS)
            yield Difference(
                "object.place", f"photo {row.id} stands under the wrong prefix for its account",
                partial(_rekey, shard, row.id), late=late,
            )  # fmt: skip

    def _faults(self, row: Row[Any]) -> dict[str, list[str]]:
        faults: dict[str, list[str]] = {}
        size = self._size(row.original["key"])
        if size is None:
            faults["lost"] = ["is not in storage"]
        elif size != row.original["size_bytes"]:
            faults["lost"] = [f"has {size} bytes instead of {row.original['size_bytes']}"]
        missing = [each["name"] for each in row.renditions if not self._size(each["key"])]
        if missing:
            faults["missing"] = missing
        if _is_misplaced(row):
            faults["misplaced"] = ["yes"]
        return faults

    def _size(self, key: str) -> int | None:
        try:
            return self._storage.stat(key).size_bytes
        except ObjectNotFound:
            return None

    def _unchanged(self, shard: int, row: Row[Any]) -> bool:
        with self._shards.read(shard) as connection:
            return connection.execute(_placed().where(Media.id == row.id)).one_or_none() == row

    def _render_again(self, row: Row[Any], names: list[str], write: Write) -> None:
        """Make lost renditions anew from the original. Raises ``DigestMismatch`` if that is not what was uploaded."""
        del write
        data = self._storage.get(row.original["key"])
        if hashlib.sha256(data).hexdigest() != row.original["sha256"]:
            raise DigestMismatch(f"the original of photo {row.id} is not what was uploaded")
        with tempfile.TemporaryDirectory(prefix="photoapp-verify-") as folder:
            path = Path(folder, "picture")
            path.write_bytes(data)
            image = self._imaging.process(path)
        keys = {each["name"]: each["key"] for each in row.renditions}
        for rendition in image.renditions:
            if rendition.name in names:
                self._storage.put(keys[rendition.name], rendition.data, content_type="image/jpeg")


def _placed() -> Select[Any]:
    return (
        select(
            Media.id, Media.storage, Media.original, Media.renditions, Media.is_private,
            User.is_private.label("owner_is_private"),
        )
        .join(User, User.id == Media.owner_id)
        .where(Media.state == MediaState.LIVE)
    )  # fmt: skip


def _is_misplaced(row: Row[Any]) -> bool:
    prefix = prefix_for(is_private=row.owner_is_private) + "/"
    return row.is_private != row.owner_is_private or any(
        not rendition["key"].startswith(prefix) for rendition in row.renditions
    )


def _rekey(shard: int, media_id: int, write: Write) -> None:
    with write(shard) as writer:
        row = writer.execute(_placed().where(Media.id == media_id).with_for_update()).one_or_none()
        if row is None or not _is_misplaced(row):
            return
        # The row says where its objects stand, and the job believes it.
        writer.execute(
            update(Media)
            .where(Media.id == media_id)
            .values(is_private=not row.owner_is_private)
            .execution_options(synchronize_session=False)
        )
        writer.post("media.rekey", {"media_id": media_id}, queue="slow")


def _forget_picture(shard: int, user_id: int, key: str, write: Write) -> None:
    """Show everybody's picture in place of one that is lost."""
    with write(shard) as writer:
        held = writer.execute(select(User.picture).where(User.id == user_id).with_for_update()).scalar()
        if held and held["key"] == key:
            writer.execute(update(User).where(User.id == user_id).values(picture=None))
            writer.moves(account_version(user_id))

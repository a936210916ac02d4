"""One photo, and likes of it as the service writes them."""

from sqlalchemy import func, insert, select

from photoapp.models import Like, LikesSlot, Media
from photoapp.services.reactions import ReactionService
from photoapp.services.slots import likes_of
from photoapp.sharding.shards import Shards
from photoapp.sharding.writer import Effects

SHARD = 1
"""Where the photo is."""


def make_photo(shards: Shards) -> int:
    """A photo that nobody likes."""
    [id_] = shards.ids.draw(SHARD)
    with shards.write(SHARD) as writer:
        writer.execute(
            insert(Media).values(
                id=id_, owner_id=id_, caption="", caption_id=id_, width=1, height=1, blurhash="", storage="local",
                is_private=False, original={}, renditions=[],
            )
        )  # fmt: skip
    return id_


def set_like(shards: Shards, media_id: int, user_id: int, *, active: bool) -> Effects:
    """Like or unlike in a transaction of its own."""
    with shards.write(SHARD) as writer:
        ReactionService(shards=shards).set_like(writer, media_id=media_id, user_id=user_id, active=active)
    return writer.effects


def count_of(shards: Shards, media_id: int) -> int:
    """The count as readers see it."""
    media = Media.__table__
    with shards.read(SHARD) as connection:
        count: int = connection.execute(
            select(likes_of(media, LikesSlot.__table__)).where(media.c.id == media_id)
        ).scalar_one()
    return count


def parts_of(shards: Shards, media_id: int) -> tuple[int, list[int]]:
    """What the photo's row says, and what each of its slots holds."""
    with shards.read(SHARD) as connection:
        in_row: int = connection.execute(select(Media.likes_count).where(Media.id == media_id)).scalar_one()
        slots = connection.execute(select(LikesSlot.likes).where(LikesSlot.media_id == media_id)).scalars()
        return in_row, list(slots)


def likers_of(shards: Shards, media_id: int) -> int:
    """The truth: how many like it."""
    rows = select(func.count()).select_from(Like).where(Like.media_id == media_id, Like.active)
    with shards.read(SHARD) as connection:
        return connection.execute(rows).scalar_one()

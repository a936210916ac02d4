"""The server's own tables, read (and, for crowds, filled) beside it: what HTTP must not show, and what takes too long over it."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy import insert, select, update

from photoapp.models import Base, Comment, Follow, FollowState, Like, Media, User
from support.people import Person
from support.server import Running, shards_of


def row_of(server: Running, model: type[Base], id_: str) -> dict[str, Any]:
    """All columns of one row by its id; of a composite id the first half."""
    number = int(id_.partition("_")[0])
    table = model.__table__
    with closing(shards_of(server)) as shards, shards.read(shards.of(number)) as connection:
        return dict(connection.execute(select(table).where(table.c.id == number)).one()._mapping)


@contextmanager
def held_photo(server: Running, media_id: str) -> Iterator[None]:
    """Another transaction has locked the photo's row meanwhile."""
    number = int(media_id.partition("_")[0])
    with closing(shards_of(server)) as shards, shards.write(shards.of(number)) as writer:
        writer.execute(select(Media.id).where(Media.id == number).with_for_update())
        yield


def crowd(server: Running, person: Person, media_id: str, size: int) -> list[str]:
    """Usernames of many accounts that follow the person and like the photo, in the order in which they did."""
    photo, names = int(media_id.partition("_")[0]), [f"crowd{person.id}.{number}" for number in range(size)]
    with closing(shards_of(server)) as shards:
        shard = shards.of(photo)
        ids, versions = shards.ids.draw(shard, count=size), shards.ids.draw(shard, count=size)
        people = [
            {
                "id": id_, "username": name, "full_name": "", "email": f"{name}@mail.example", "password_hash": "",
                "username_claim_id": id_, "email_claim_id": id_,
            }
            for id_, name in zip(ids, names, strict=True)
        ]  # fmt: skip
        edges = list(zip(ids, versions, strict=True))
        with shards.write(shard) as writer:
            writer.execute(insert(User), people)
            writer.execute(
                insert(Like),
                [{"media_id": photo, "user_id": id_, "active": True, "version": version} for id_, version in edges],
            )
            writer.execute(
                insert(Follow),
                [
                    {
                        "followed_id": int(person.id),
                        "follower_id": id_,
                        "state": int(FollowState.ACCEPTED),
                        "version": version,
                    }
                    for id_, version in edges
                ],
            )
    return names


def chatter(server: Running, person: Person, media_id: str, texts: list[str]) -> None:
    """Comments of one person on a photo of their own, in this order. Shown once the photo changes over HTTP."""
    photo, author = int(media_id.partition("_")[0]), int(person.id)
    with closing(shards_of(server)) as shards:
        shard = shards.of(photo)
        ids = shards.ids.draw(shard, count=len(texts))
        rows = [
            {"id": id_, "media_id": photo, "user_id": author, "text": text, "version": id_}
            for id_, text in zip(ids, texts, strict=True)
        ]
        with shards.write(shard) as writer:
            writer.execute(insert(Comment), rows)
            writer.execute(update(Media).where(Media.id == photo).values(comments_count=len(texts)))

"""Looking past the API of a server: its shards, its late work, and rows in such numbers that uploads would take hours."""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Select, insert, select, update

from photoapp.models import Base, Delivery, Follow, Following, FollowState, Media, Outbox, OutboxState, User
from photoapp.services.tokens import TokenService
from photoapp.sharding.shards import Shards, Tables
from photoapp.tiers.session.memory import MemorySession, MemorySessionSettings
from support.people import SCOPE, App, Person
from support.server import Server
from support.wait import wait_until

StartServer = Callable[..., Server]
"""``start(engine, settings)``: the room's fixture ``start_server``."""
SOON = timedelta(minutes=2)
"""A lease is a minute: what is due within two is at work or waits for another try; what is due later waits for its day."""


def count_rows(shards: Shards, model: type[Base], **where: Any) -> int:
    """Rows on all shards."""
    return len(find_rows(shards, model, **where))


def find_rows(shards: Shards, model: type[Base], **where: Any) -> list[Any]:
    """Rows on all shards, by equality."""

    def part(tables: Tables, shard: int) -> Select[Any]:
        table = tables(model)
        return select(table).where(*(table.c[name] == value for name, value in where.items()))

    return shards.gather(range(shards.count), part)


def waiting_rows(shards: Shards) -> list[Any]:
    """Outbox rows that are due, at work, or about to be tried again."""
    soon = datetime.now(UTC) + SOON

    def part(tables: Tables, shard: int) -> Select[Any]:
        outbox = tables(Outbox).c
        row = (outbox.handler, outbox.attempts, outbox.error, outbox.due_at)
        return select(*row).where(outbox.state == OutboxState.WAITING, outbox.due_at <= soon)

    return shards.gather(range(shards.count), part)


def settled(shards: Shards, *, within_s: float = 20) -> None:
    """Wait until all late work is done, and none of it failed for good."""
    try:
        wait_until(lambda: not waiting_rows(shards), within_s=within_s, what="the end of late work")
    except TimeoutError as error:
        raise TimeoutError(f"{error}: {datetime.now(UTC)} {waiting_rows(shards)}") from None
    dead = find_rows(shards, Outbox, state=int(OutboxState.DEAD))
    assert not dead, dead


def insert_rows(shards: Shards, model: type[Base], rows: Iterable[dict[str, Any]], *, key: str) -> None:
    """Rows in bulk, each on the shard of its ``key``."""
    groups: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(shards.of(row[key]), []).append(row)
    for shard, members in groups.items():
        with shards.write(shard) as writer:
            writer.execute(insert(model), members)


def media_row(media_id: int, owner_id: int, **changes: Any) -> dict[str, Any]:
    """A valid row of a photo whose objects nobody asks for."""
    rendition = {"key": f"public/{media_id}/a.jpg", "width": 306, "height": 306}
    names = ("thumbnail", "low_resolution", "standard_resolution")
    return {
        "id": media_id, "owner_id": owner_id, "delivery": int(Delivery.PUSH), "caption_id": media_id + 1,
        "width": 640, "height": 640, "blurhash": "L00000fQfQfQfQfQfQfQfQfQfQfQ", "storage": "local", "is_private": False,
        "original": {"key": f"original/{media_id}", "sha256": "", "size_bytes": 1, "content_type": "image/jpeg"},
        "renditions": [rendition | {"name": name} for name in names],
        **changes,
    }  # fmt: skip


def user_row(user_id: int, **changes: Any) -> dict[str, Any]:
    """A valid row of somebody who never logs in."""
    return {
        "id": user_id, "username": f"made{user_id}", "full_name": "", "email": f"{user_id}@mail.example",
        "password_hash": "", "username_claim_id": 0, "email_claim_id": 0, **changes,
    }  # fmt: skip


def insert_follows(shards: Shards, pairs: Iterable[tuple[int, int]]) -> None:
    """Accepted follows, (follower, followed), with their mirrors; the counters are the caller's business."""
    pairs = list(pairs)
    counts = Counter(shards.of(followed) for _, followed in pairs)
    ids = {shard: iter(shards.ids.draw(shard, count=count)) for shard, count in counts.items()}
    edges = [
        {
            "follower_id": follower, "followed_id": followed, "state": int(FollowState.ACCEPTED),
            "version": next(ids[shards.of(followed)]),
        }
        for follower, followed in pairs
    ]  # fmt: skip
    insert_rows(shards, Follow, edges, key="followed_id")
    insert_rows(shards, Following, edges, key="follower_id")


def make_users(shards: Shards, count: int) -> list[int]:
    """Ids of so many new accounts, spread over all shards."""
    share = -(-count // shards.count)
    ids = [id_ for shard in range(shards.count) for id_ in shards.ids.draw(shard, count=share)][:count]
    insert_rows(shards, User, map(user_row, ids), key="id")
    return ids


def make_followers(shards: Shards, person: Person, count: int) -> list[int]:
    """Ids of so many new accounts that follow somebody."""
    followers, followed = make_users(shards, count), int(person.id)
    insert_follows(shards, [(follower, followed) for follower in followers])
    with shards.write(shards.of(followed)) as writer:
        writer.execute(update(User).where(User.id == followed).values(followed_by_count=count))
    return followers


def make_media(shards: Shards, owner_id: int, count: int, **changes: Any) -> list[int]:
    """Ids of so many new photos of an account, oldest first. Its counter is the caller's business."""
    ids = shards.ids.draw(shards.of(owner_id), count=count * 2)[::2]
    insert_rows(shards, Media, (media_row(id_, owner_id, **changes) for id_ in ids), key="id")
    return ids


def log_in_made(app: App, shards: Shards, user_id: int) -> Person:
    """Somebody whose row was made here, with a token."""
    tokens = TokenService(shards=shards, session=MemorySession(MemorySessionSettings()))
    with shards.write(shards.of(user_id)) as writer:
        scopes = frozenset({"basic", *SCOPE.split()})
        token = tokens.issue(writer, user_id=user_id, client_id=app.client_id, scopes=scopes)
    return Person(app, str(user_id), f"made{user_id}", token)


def stretches(shards: Shards, media_id: str) -> list[Any]:
    """The outbox rows of a photo's fan-out that serve a stretch of followers each."""
    number = int(media_id.partition("_")[0])

    def part(tables: Tables, shard: int) -> Select[Any]:
        outbox = tables(Outbox).c
        return select(outbox.id, outbox.state, outbox.payload).where(outbox.handler == "feed.fan_out")

    rows = shards.gather([shards.of(number)], part)
    return [row for row in rows if row.payload["media_id"] == number and "low" in row.payload]


def expire_leases(shards: Shards) -> None:
    """As if the minute was over that a lease lasts."""
    now = datetime.now(UTC)
    for shard in range(shards.count):
        with shards.write(shard) as writer:
            at_work = (Outbox.state == OutboxState.WAITING, Outbox.due_at > now, Outbox.due_at <= now + SOON)
            ended = update(Outbox).where(*at_work).values(due_at=now)
            writer.execute(ended.execution_options(synchronize_session=False))

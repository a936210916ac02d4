"""The tables of a shard, and its id generator. The beginning of the lineage.

Imports no models, because a migration must do in years what it does today.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

DOCUMENT = sa.JSON().with_variant(JSONB(), "postgresql")
WAITING = sa.text("state = 0")


def number(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=null, autoincrement=False)


def small(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.SmallInteger(), nullable=False)


def words(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=null)


def flag(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Boolean(), nullable=False)


def real(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Double(), nullable=null)


def when(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=null)


def document(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, DOCUMENT, nullable=null)


def table(name: str, *columns: sa.Column[Any], key: tuple[str, ...] = ("id",)) -> None:
    op.create_table(name, *columns, sa.PrimaryKeyConstraint(*key, name=op.f(f"pk_{name}")))


def upgrade() -> None:
    """Everything, in an empty shard."""
    accounts()
    photos()
    reactions()
    relations()
    clients()
    work()
    shard: int = op.get_context().opts["shard"]
    if op.get_context().dialect.name == "postgresql":
        id_generator(shard)
    else:
        op.execute(sa.insert(sa.table("id_state", sa.column("only"), sa.column("last"))).values(only=1, last=0))


def id_generator(shard: int) -> None:
    """``next_id()``: the arithmetic of sharding/ids.py beside the data, outside of transactions.

    The sequence holds the last tick given: milliseconds since 2026 times 1,024, plus the place within the
    millisecond. Names in the body carry their schema, since it runs under any search path. The advisory lock
    is the session's, to be let go at once and not with the caller's transaction. A statement that is
    cancelled in between must let it go too, else the shard draws no ids until the pooled connection closes.
    """
    schema = f"shard_{shard:04d}"
    op.execute(f"CREATE SEQUENCE {schema}.last_tick AS bigint MINVALUE 0 START 0")
    op.execute(f"""
        CREATE FUNCTION {schema}.next_id() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $body$
        DECLARE
            now_ms bigint;
            tick bigint;
        BEGIN
            PERFORM pg_advisory_lock(1, {shard});
            now_ms := floor(extract(epoch FROM clock_timestamp()) * 1000);
            SELECT greatest((now_ms - 1767225600000) << 10, last_value + 1) INTO tick FROM {schema}.last_tick;
            PERFORM setval('{schema}.last_tick', tick);
            PERFORM pg_advisory_unlock(1, {shard});
            RETURN ((tick >> 10) << 23) | {shard << 10} | (tick & 1023);
        EXCEPTION WHEN query_canceled OR others THEN
            PERFORM pg_advisory_unlock(1, {shard});
            RAISE;
        END
        $body$
    """)


def accounts() -> None:
    """People and the names they claim."""
    table(
        "user_account",
        number("id"),
        words("username"),
        words("full_name"),
        words("bio"),
        words("website"),
        words("email"),
        words("pending_email", null=True),
        words("password_hash"),
        flag("is_private"),
        small("state"),
        when("deleted_at", null=True),
        number("username_claim_id"),
        number("email_claim_id"),
        document("picture", null=True),
        flag("merges"),
        number("media_count"),
        number("follows_count"),
        number("followed_by_count"),
    )
    table(
        "name_claim",
        number("id"),
        words("kind"),
        words("name"),
        number("holder_id"),
        when("held_until", null=True),
    )
    op.create_index(
        "ix_user_account_merging",
        "user_account",
        ["id"],
        sqlite_where=sa.text("merges"),
        postgresql_where=sa.text("merges"),
    )
    op.create_index("ix_name_claim_held_until", "name_claim", ["held_until"])
    op.create_index("ix_name_claim_kind_name", "name_claim", ["kind", "name"], unique=True)
    table("claim_fence", number("claim_id"), flag("named"), key=("claim_id",))


def photos() -> None:
    """Photos and what stands in them."""
    table(
        "media",
        number("id"),
        number("owner_id"),
        small("state"),
        small("delivery"),
        words("caption"),
        number("caption_id"),
        words("filter"),
        words("alt_text"),
        real("latitude", null=True),
        real("longitude", null=True),
        number("location_id", null=True),
        number("width"),
        number("height"),
        words("blurhash"),
        words("storage"),
        flag("is_private"),
        document("original"),
        document("renditions"),
        when("edited_at", null=True),
        when("deleted_at", null=True),
        number("likes_count"),
        number("comments_count"),
    )
    op.create_index("ix_media_owner_id_id", "media", ["owner_id", sa.text("id DESC")])
    table(
        "media_tag",
        number("media_id"),
        words("tag"),
        number("tagging_id"),
        number("source_id"),
        key=("media_id", "tag"),
    )
    table(
        "mention",
        number("media_id"),
        number("source_id"),
        words("username"),
        key=("media_id", "source_id", "username"),
    )
    table(
        "person_in_photo",
        number("media_id"),
        number("user_id"),
        real("x"),
        real("y"),
        key=("media_id", "user_id"),
    )


def reactions() -> None:
    """Likes and comments; the truth and what is derived."""
    table(
        "media_like",
        number("media_id"),
        number("user_id"),
        flag("active"),
        number("version"),
        key=("media_id", "user_id"),
    )
    op.create_index("ix_media_like_media_id_version", "media_like", ["media_id", sa.text("version DESC")])
    table(
        "liked",
        number("user_id"),
        number("media_id"),
        flag("active"),
        number("version"),
        key=("user_id", "media_id"),
    )
    op.create_index("ix_liked_user_id_version", "liked", ["user_id", sa.text("version DESC")])
    table(
        "comment",
        number("id"),
        number("media_id"),
        number("user_id"),
        words("text"),
        flag("active"),
        number("version"),
    )
    op.create_index("ix_comment_media_id_id", "comment", ["media_id", sa.text("id DESC")])
    table(
        "commented",
        number("user_id"),
        number("comment_id"),
        number("media_id"),
        flag("active"),
        number("version"),
        key=("user_id", "comment_id"),
    )


def relations() -> None:
    """Follows and blocks; the truth and its mirrors."""
    table(
        "follow",
        number("followed_id"),
        number("follower_id"),
        small("state"),
        number("version"),
        key=("followed_id", "follower_id"),
    )
    op.create_index("ix_follow_followed_id_state_version", "follow", ["followed_id", "state", sa.text("version DESC")])
    table(
        "following",
        number("follower_id"),
        number("followed_id"),
        small("state"),
        number("version"),
        key=("follower_id", "followed_id"),
    )
    op.create_index(
        "ix_following_follower_id_state_version",
        "following",
        ["follower_id", "state", sa.text("version DESC")],
    )
    table(
        "block",
        number("blocker_id"),
        number("blocked_id"),
        flag("active"),
        number("version"),
        key=("blocker_id", "blocked_id"),
    )
    op.create_index("ix_block_blocker_id_active_version", "block", ["blocker_id", "active", sa.text("version DESC")])
    table(
        "blocked_by",
        number("blocked_id"),
        number("blocker_id"),
        flag("active"),
        number("version"),
        key=("blocked_id", "blocker_id"),
    )


def clients() -> None:
    """Who may call."""
    table(
        "oauth_client",
        words("client_id"),
        words("secret_sha256"),
        words("name"),
        flag("trusted"),
        flag("public"),
        flag("allow_implicit"),
        flag("enforce_signed"),
        document("redirect_uris"),
        when("created_at"),
        when("revoked_at", null=True),
        key=("client_id",),
    )
    table(
        "oauth_token",
        words("sha256"),
        number("user_id"),
        words("client_id"),
        words("scope"),
        when("created_at"),
        when("expires_at", null=True),
        when("revoked_at", null=True),
        key=("sha256",),
    )
    op.create_index("ix_oauth_token_user_id_client_id", "oauth_token", ["user_id", "client_id"])
    table(
        "oauth_grant",
        number("user_id"),
        words("client_id"),
        words("scope"),
        when("created_at"),
        when("revoked_at", null=True),
        key=("user_id", "client_id"),
    )


def work() -> None:
    """What a shard keeps for itself."""
    table(
        "outbox",
        number("id"),
        words("queue"),
        words("handler"),
        number("target"),
        document("payload"),
        small("state"),
        when("due_at"),
        small("attempts"),
        words("error", null=True),
        when("done_at", null=True),
    )
    op.create_index("ix_outbox_state_done_at", "outbox", ["state", "done_at"])
    op.create_index("ix_outbox_waiting", "outbox", ["queue", "due_at"], sqlite_where=WAITING, postgresql_where=WAITING)
    table(
        "idempotency_key",
        words("scope"),
        words("digest"),
        words("attempt"),
        when("leased_until"),
        flag("done"),
        number("result_id", null=True),
        when("created_at"),
        key=("scope",),
    )
    op.create_index("ix_idempotency_key_created_at", "idempotency_key", ["created_at"])
    table("meta", words("key"), words("value"), key=("key",))
    table("id_state", number("only"), number("last"), key=("only",))


def downgrade() -> None:
    """Nothing is left but the empty version table."""
    shard: int = op.get_context().opts["shard"]
    if op.get_context().dialect.name == "postgresql":
        op.execute(f"DROP FUNCTION shard_{shard:04d}.next_id()")
        op.execute(f"DROP SEQUENCE shard_{shard:04d}.last_tick")
    for name in (
        "user_account",
        "name_claim",
        "claim_fence",
        "oauth_client",
        "oauth_token",
        "oauth_grant",
        "media",
        "media_tag",
        "mention",
        "person_in_photo",
        "media_like",
        "liked",
        "comment",
        "commented",
        "follow",
        "following",
        "block",
        "blocked_by",
        "outbox",
        "idempotency_key",
        "meta",
        "id_state",
    ):
        op.drop_table(name)

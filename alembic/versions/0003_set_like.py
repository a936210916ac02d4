"""A like as a function of the shard.

Revises 0002. Expand: nothing that is there changes.
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """On PostgreSQL; a laptop's SQLite takes the same steps one by one."""
    if op.get_context().dialect.name == "postgresql":
        set_like(op.get_context().opts["shard"])


def set_like(shard: int) -> None:
    """``set_like()``: the like, its outbox row, and the counter only if the like changed (DESIGN 2 and 10).

    A function, because PostgreSQL keeps its plans: to parse and plan all this costs more than to do it, and a client
    behind pgbouncer prepares no statements.

    Where the like exists its version is drawn once its row is locked, so that versions rise in the order of the changes
    with no lock but the row's own (law 3). The outbox row has the same id.

    The counter is spread: whoever finds the photo's row locked counts in one of 16 slots instead of waiting for
    somebody else's commit. It cannot deadlock. It waits for the row of the like, and then at most for one slot, while
    the photo's row is only ever taken when it is free. So whoever holds a slot waits for nothing more, and who moves
    slots into the photo's row waits for nothing at all.
    """
    schema = f"shard_{shard:04d}"
    op.execute(f"""
        CREATE FUNCTION {schema}.set_like(
            photo bigint, liker bigint, likes boolean, mirrored_on bigint, noted_at timestamptz,
            OUT is_live boolean, OUT change_id bigint
        ) LANGUAGE plpgsql VOLATILE AS $body$
        DECLARE
            step constant bigint := CASE WHEN likes THEN 1 ELSE -1 END;
        BEGIN
            is_live := EXISTS (SELECT FROM {schema}.media WHERE id = photo AND state = 0);
            IF NOT is_live THEN
                RETURN;
            END IF;
            IF likes THEN
                INSERT INTO {schema}.media_like AS held (media_id, user_id, active, version)
                VALUES (photo, liker, true, {schema}.next_id())
                ON CONFLICT (media_id, user_id) DO UPDATE SET active = true, version = {schema}.next_id()
                WHERE NOT held.active
                RETURNING held.version INTO change_id;
            ELSE
                UPDATE {schema}.media_like AS held SET active = false, version = {schema}.next_id()
                WHERE held.media_id = photo AND held.user_id = liker AND held.active
                RETURNING held.version INTO change_id;
            END IF;
            IF change_id IS NULL THEN
                RETURN;
            END IF;
            INSERT INTO {schema}.outbox (id, queue, handler, target, payload, state, due_at, attempts)
            VALUES (
                change_id, 'fast', 'like.mirror', mirrored_on,
                jsonb_build_object('media_id', photo, 'user_id', liker, 'active', likes, 'version', change_id),
                0, noted_at, 0
            );
            PERFORM FROM {schema}.media WHERE id = photo FOR NO KEY UPDATE SKIP LOCKED;
            IF FOUND THEN
                UPDATE {schema}.media SET likes_count = likes_count + step WHERE id = photo;
            ELSE
                INSERT INTO {schema}.media_likes_slot AS held (media_id, slot, likes)
                VALUES (photo, floor(random() * 16), step)
                ON CONFLICT (media_id, slot) DO UPDATE SET likes = held.likes + excluded.likes;
            END IF;
        END
        $body$
    """)


def downgrade() -> None:
    """Undo it."""
    if op.get_context().dialect.name == "postgresql":
        shard: int = op.get_context().opts["shard"]
        op.execute(f"DROP FUNCTION shard_{shard:04d}.set_like(bigint, bigint, boolean, bigint, timestamptz)")

"""Likes of a contended photo are counted in slots.

Revises 0001. Expand: a new table, and what stands in ``media.likes_count`` stays right without a row in it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """An empty table."""
    op.create_table(
        "media_likes_slot",
        sa.Column("media_id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("slot", sa.SmallInteger(), nullable=False, autoincrement=False),
        sa.Column("likes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("media_id", "slot", name=op.f("pk_media_likes_slot")),
    )


def downgrade() -> None:
    """Undo it: what the slots hold goes to where the program before looks for it."""
    held = sa.table("media_likes_slot", sa.column("media_id"), sa.column("likes"))
    media = sa.table("media", sa.column("id"), sa.column("likes_count"))
    parts = sa.select(sa.func.sum(held.c.likes)).where(held.c.media_id == media.c.id).scalar_subquery()
    is_spread = media.c.id.in_(sa.select(held.c.media_id))
    op.execute(sa.update(media).where(is_spread).values(likes_count=media.c.likes_count + parts))
    op.drop_table("media_likes_slot")

"""${message}

Revises ${down_revision | comma,n}. Expand or contract, never both (DESIGN 7); imports no models; ``photoapp.sharding.schema.HEAD``
names the newest revision. ``op.get_context().opts["shard"]`` is the number of the shard being changed.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}

revision = ${'"%s"' % up_revision}
down_revision = ${'"%s"' % down_revision if down_revision else None}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    """${message}."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """Undo it."""
    ${downgrades if downgrades else "pass"}

"""Turning a row on or off as one statement: the row, its outbox row, and the counter only if the row changed (DESIGN 2
and 10). PostgreSQL only; a laptop's SQLite takes the same steps one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Insert,
    Select,
    Table,
    Update,
    func,
    insert,
    literal,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB


@dataclass(frozen=True, slots=True)
class Flip:
    """What to turn, and on what that depends. ``table`` has the columns ``active`` and ``version``."""

    table: Table
    key: dict[str, int]
    """The columns of its primary key."""
    active: bool
    parent: Table
    parent_id: int
    parent_is_live: ColumnElement[bool]
    counter: str
    """The column of the parent that counts active rows."""


def flip_statement(flip: Flip, *, drawn_id: ColumnElement[int], outbox: Table, posted: dict[str, Any]) -> Select[Any]:
    """A statement with one row: ``is_live`` of the parent, and ``version``, None if nothing changed.

    ``drawn_id`` draws an id of the shard. Where the row exists it is evaluated once the row is locked, so that versions
    rise in the order of the changes (DESIGN law 3) with no lock but the row's own. ``posted`` are the columns of the
    outbox row, whose payload gets the key, ``active`` and ``version``.
    """
    parent = select(flip.parent.c.id).where(flip.parent.c.id == flip.parent_id, flip.parent_is_live).cte("parent")
    change = _turn_on(flip, parent, drawn_id) if flip.active else _turn_off(flip, parent, drawn_id)
    changed = change.returning(flip.table.c.version).cte("changed")
    payload = func.jsonb_build_object(
        *(part for name, id_ in flip.key.items() for part in (name, literal(id_, BigInteger))),
        "active", literal(flip.active), "version", changed.c.version, type_=JSONB,
    )  # fmt: skip
    values = {"id": changed.c.version, "payload": payload} | {
        name: literal(value, outbox.c[name].type) for name, value in posted.items()
    }
    post = insert(outbox).from_select(list(values), select(*values.values())).cte("posted")
    step = 1 if flip.active else -1
    count = (
        update(flip.parent)
        .where(flip.parent.c.id == flip.parent_id, select(changed.c.version).exists())
        .values({flip.counter: flip.parent.c[flip.counter] + step})
        .cte("counted")
    )
    return select(
        select(parent.c.id).exists().label("is_live"), select(changed.c.version).scalar_subquery().label("version")
    ).add_cte(post, count)


def _turn_on(flip: Flip, parent: Any, drawn_id: ColumnElement[int]) -> Insert:
    columns = {name: literal(id_, BigInteger) for name, id_ in flip.key.items()}
    row = select(*columns.values(), true(), drawn_id).select_from(parent)
    inserted = postgresql.insert(flip.table).from_select([*columns, "active", "version"], row)
    return inserted.on_conflict_do_update(
        index_elements=list(columns), set_={"active": true(), "version": drawn_id}, where=~flip.table.c.active
    )


def _turn_off(flip: Flip, parent: Any, drawn_id: ColumnElement[int]) -> Update:
    is_it = [flip.table.c[name] == id_ for name, id_ in flip.key.items()]
    return (
        update(flip.table)
        .where(*is_it, flip.table.c.active, select(parent.c.id).exists())
        .values(active=False, version=drawn_id)
    )

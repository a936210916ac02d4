"""Turning a row on or off as one statement: the row, its outbox row, and the counter only if the row changed (DESIGN 2
and 10). PostgreSQL only; a laptop's SQLite takes the same steps one by one.

The counter of a parent that many want at once is spread: who finds the parent's row locked counts in one of its slots
instead of waiting for somebody else's commit. It cannot deadlock. A transaction flips once; it waits for the row that
it turns, and then at most for one slot, while the parent's row is only ever taken when it is free. So whoever holds a
slot waits for nothing more, and who moves slots into the parent's row waits for nothing at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    BindParameter,
    ColumnElement,
    Insert,
    Select,
    SmallInteger,
    Table,
    Update,
    bindparam,
    cast,
    func,
    insert,
    literal,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB

SLOTS = 16
"""What a photo's contended counter is spread over, and so the most rows that its readers add up."""

POSTED = ("queue", "handler", "target", "state", "due_at", "attempts")
"""The columns of the outbox row that the caller gives; its id and its payload are the statement's."""

Key = dict[str, BindParameter[int]]


@dataclass(frozen=True, slots=True, eq=False)
class Flip:
    """What is turned, and on what that depends: one per kind. ``table`` has the columns ``active`` and ``version``."""

    table: Table
    key: tuple[str, ...]
    """The columns of its primary key."""
    parent: Table
    parent_key: str
    """The one of them that is the parent's id."""
    parent_is_live: ColumnElement[bool]
    counter: str
    """The column of the parent that counts active rows."""
    slots: Table
    """The counter's other parts. Its columns are the parent's id, the slot (both are the key), and the part."""


def flip_statement(flip: Flip, *, active: bool, drawn_id: ColumnElement[int], outbox: Table) -> Select[Any]:
    """A statement with one row: ``is_live`` of the parent, and ``version``, None if nothing changed.

    Keep it: building it takes longer than running it. ``flip_parameters`` are what it is run with.

    ``drawn_id`` draws an id of the shard. Where the row exists it is evaluated once the row is locked, so that versions
    rise in the order of the changes (DESIGN law 3) with no lock but the row's own. The outbox row's payload has the
    key, ``active`` and ``version``.
    """
    key = {name: bindparam(f"key_{name}", type_=BigInteger) for name in flip.key}
    parent_id = key[flip.parent_key]
    parent = select(flip.parent.c.id).where(flip.parent.c.id == parent_id, flip.parent_is_live).cte("parent")
    change = (_turn_on if active else _turn_off)(flip, key, parent, drawn_id)
    changed = change.returning(flip.table.c.version).cte("changed")
    payload = func.jsonb_build_object(
        *(part for name, id_ in key.items() for part in (name, id_)),
        "active", literal(active), "version", changed.c.version, type_=JSONB,
    )  # fmt: skip
    values = {"id": changed.c.version, "payload": payload} | {
        name: bindparam(f"post_{name}", type_=outbox.c[name].type) for name in POSTED
    }
    post = insert(outbox).from_select(list(values), select(*values.values())).cte("posted")
    return select(
        select(parent.c.id).exists().label("is_live"), select(changed.c.version).scalar_subquery().label("version")
    ).add_cte(post, *_count(flip, parent_id, changed, 1 if active else -1))


def flip_parameters(key: dict[str, int], posted: dict[str, Any]) -> dict[str, Any]:
    """The ids of the row to turn, and the outbox row's ``POSTED``."""
    return {f"key_{name}": id_ for name, id_ in key.items()} | {f"post_{name}": posted[name] for name in POSTED}


def _count(flip: Flip, parent_id: ColumnElement[int], changed: CTE, step: int) -> tuple[CTE, CTE]:
    """The step in the parent's row if that could be locked at once, else in a slot."""
    has_changed = select(changed.c.version).exists()
    # The lock that the update takes anyway. It is evaluated once, because it locks; and where the row has changed since
    # the statement began, the lock is on the newest version, and it is this one that the update adds to.
    held = (
        select(flip.parent.c.id)
        .where(flip.parent.c.id == parent_id, has_changed)
        .with_for_update(key_share=True, skip_locked=True)
        .cte("held")
        .prefix_with("MATERIALIZED")
    )
    in_parent = (
        update(flip.parent)
        .where(flip.parent.c.id == parent_id, select(held.c.id).exists())
        .values({flip.counter: flip.parent.c[flip.counter] + step})
    )
    of, slot, part = flip.slots.c
    any_slot = cast(func.floor(func.random() * SLOTS), SmallInteger)
    row = select(parent_id, any_slot, literal(step, BigInteger)).where(has_changed, ~select(held.c.id).exists())
    in_slot = postgresql.insert(flip.slots).from_select([of, slot, part], row)
    in_slot = in_slot.on_conflict_do_update(
        index_elements=[of, slot], set_={part.name: part + in_slot.excluded[part.name]}
    )
    return in_parent.cte("counted"), in_slot.cte("spread")


def _turn_on(flip: Flip, key: Key, parent: CTE, drawn_id: ColumnElement[int]) -> Insert:
    row = select(*key.values(), true(), drawn_id).select_from(parent)
    inserted = postgresql.insert(flip.table).from_select([*key, "active", "version"], row)
    return inserted.on_conflict_do_update(
        index_elements=list(key), set_={"active": true(), "version": drawn_id}, where=~flip.table.c.active
    )


def _turn_off(flip: Flip, key: Key, parent: CTE, drawn_id: ColumnElement[int]) -> Update:
    is_it = [flip.table.c[name] == id_ for name, id_ in key.items()]
    return (
        update(flip.table)
        .where(*is_it, flip.table.c.active, select(parent.c.id).exists())
        .values(active=False, version=drawn_id)
    )

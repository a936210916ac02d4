"""The newest rows of each of many parents, by one index walk per parent: the shape of a feed, of inline likes and
comments.

``parent IN (...) ORDER BY id LIMIT n`` would read every row of a busy parent, and a window function every row of all.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, Table, Text, and_, bindparam, cast, func, select, true
from sqlalchemy.dialects.postgresql import ARRAY


def newest_per_parent(
    table: Table,
    *,
    parent: str,
    key: str,
    bounds: Sequence[tuple[int, int]],
    limit: int,
    columns: Sequence[str],
    where: dict[str, Any],
    sqlite: bool,
) -> Select[Any]:
    """For each (parent id, exclusive upper bound of the key) up to ``limit`` rows, highest keys first within the index.

    Needs an index that begins with ``parent`` and ends with ``key``. ``where`` are further equalities. Rows come in no
    order.
    """
    if sqlite:
        statement = _sqlite(table, parent=parent, key=key, columns=tuple(columns), where=tuple(where.items()))
        return statement.params(bounds=json.dumps(bounds), most=limit)
    parents = (
        func.unnest(
            cast([id_ for id_, _ in bounds], ARRAY(BigInteger)), cast([below for _, below in bounds], ARRAY(BigInteger))
        )
        .table_valued("id", "below", name="parents")
        .render_derived()
    )
    newest = (
        select(*(table.c[name] for name in columns))
        .where(table.c[parent] == parents.c.id, table.c[key] < parents.c.below, *_equal(table, where.items()))
        .order_by(table.c[key].desc())
        .limit(limit)
        .lateral("newest")
    )
    return select(*newest.c).select_from(parents.join(newest, true()))


@functools.cache
def _sqlite(
    table: Table, *, parent: str, key: str, columns: tuple[str, ...], where: tuple[tuple[str, Any], ...]
) -> Select[Any]:
    """The statement for SQLite, ``bounds`` and ``most`` left open. Kept: building it takes as long as running it.

    SQLite has no LATERAL, but evaluates an IN over a correlated subquery once per parent and walks the index with it.
    """
    parents = func.json_each(bindparam("bounds", type_=Text)).table_valued("value", name="parents")
    id_ = func.json_extract(parents.c.value, "$[0]")
    inner, outer = table.alias("inner_rows"), table.alias("outer_rows")
    keys = (
        select(inner.c[key])
        .where(
            inner.c[parent] == id_,
            inner.c[key] < func.json_extract(parents.c.value, "$[1]"),
            *_equal(inner, where),
        )
        .order_by(inner.c[key].desc())
        .limit(bindparam("most", type_=BigInteger))
    )
    return select(*(outer.c[name] for name in columns)).select_from(
        parents.join(outer, and_(outer.c[parent] == id_, outer.c[key].in_(keys), *_equal(outer, where)))
    )


def _equal(table: Any, where: Iterable[tuple[str, Any]]) -> list[ColumnElement[bool]]:
    return [table.c[name] == value for name, value in where]

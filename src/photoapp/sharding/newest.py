"""The newest rows of each of many parents, by one index walk per parent: the shape of a feed, of inline likes and
comments.

``parent IN (...) ORDER BY id LIMIT n`` would read every row of a busy parent, and a window function every row of all.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, Table, TableClause, and_, cast, column, func, select, true
from sqlalchemy import table as build_table
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
        return _sqlite(table, parent, key, bounds, limit=limit, columns=columns, where=where)
    parents = func.unnest(
        cast([id_ for id_, _ in bounds], ARRAY(BigInteger)), cast([below for _, below in bounds], ARRAY(BigInteger))
    ).table_valued("id", "below", name="parents").render_derived()
    newest = (
        select(*(table.c[name] for name in columns))
        .where(table.c[parent] == parents.c.id, table.c[key] < parents.c.below, *_equal(table, where))
        .order_by(table.c[key].desc())
        .limit(limit)
        .lateral("newest")
    )
    return select(*newest.c).select_from(parents.join(newest, true()))


def _sqlite(
    table: Table,
    parent: str,
    key: str,
    bounds: Sequence[tuple[int, int]],
    *,
    limit: int,
    columns: Sequence[str],
    where: dict[str, Any],
) -> Select[Any]:
    # SQLite has no LATERAL, but evaluates an IN over a correlated subquery once per parent and walks the index with it.
    parents = func.json_each(json.dumps(bounds)).table_valued("value", name="parents")
    id_ = func.json_extract(parents.c.value, "$[0]")
    inner = _narrow(table, {parent, key, *where}).alias("inner_rows")
    keys = (
        select(inner.c[key])
        .where(
            inner.c[parent] == id_,
            inner.c[key] < func.json_extract(parents.c.value, "$[1]"),
            *_equal(inner, where),
        )
        .order_by(inner.c[key].desc())
        .limit(limit)
    )
    outer = _narrow(table, {parent, key, *where, *columns}).alias("outer_rows")
    return select(*(outer.c[name] for name in columns)).select_from(
        parents.join(outer, and_(outer.c[parent] == id_, outer.c[key].in_(keys), *_equal(outer, where)))
    )


def _narrow(table: Table, names: set[str]) -> TableClause:
    # An alias copies every column there is, and a photo has many: on a page's way that takes longer than SQLite does.
    return build_table(table.name, *(column(name, table.c[name].type) for name in sorted(names)), schema=table.schema)


def _equal(table: Any, where: dict[str, Any]) -> list[ColumnElement[bool]]:
    return [table.c[name] == value for name, value in where.items()]

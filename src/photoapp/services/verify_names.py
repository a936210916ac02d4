"""``verify``: name claims against the account rows that name them back (DESIGN 2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import Row, select, update

from photoapp.models import AccountState, NameClaim, User
from photoapp.services.names import EMAIL, USERNAME
from photoapp.services.verify_walk import Difference, Write, batches, has_waiting
from photoapp.sharding.ids import normalised
from photoapp.sharding.shards import Shards

_COLUMNS: list[Any] = [User.id, User.username, User.username_claim_id, User.email, User.email_claim_id]
_CLAIM: list[Any] = [NameClaim.holder_id, NameClaim.kind, NameClaim.name, NameClaim.id]


def find_names(shards: Shards, shard: int) -> Iterator[Difference]:
    """Accounts on this shard whose claims are missing, and claims on this shard that are kept for nobody."""
    yield from _unclaimed(shards, shard)
    yield from _kept_for_nobody(shards, shard)


@dataclass(frozen=True, slots=True)
class _Claim:
    """What an account's row says of one of its names."""

    user_id: int
    kind: str
    name: str
    """Normalised."""
    id: int


def _unclaimed(shards: Shards, shard: int) -> Iterator[Difference]:
    accounts = select(*_COLUMNS).where(User.state != AccountState.PURGED)
    for rows in batches(shards, shard, accounts, key=[User.id]):
        lacking = _lacking(shards, rows)
        if lacking:
            # Looked at again: an account may be taking another name at this moment.
            again = accounts.where(User.id.in_({claim.user_id for claim in lacking}))
            with shards.read(shard) as connection:
                seen = connection.execute(again).all()
            lacking = _lacking(shards, seen)
        for claim in lacking:
            yield Difference(
                f"claim.{claim.kind}", f"account {claim.user_id} has no claim of its {claim.kind}",
                partial(_claim_again, shards, claim),
            )  # fmt: skip


def _lacking(shards: Shards, rows: Sequence[Row[Any]]) -> list[_Claim]:
    """The claims of these accounts that are not there."""
    wanted: dict[int, list[_Claim]] = {}
    for row in rows:
        for kind, name, claim_id in (
            (USERNAME, normalised(row.username), row.username_claim_id),
            (EMAIL, normalised(row.email), row.email_claim_id),
        ):
            place = shards.for_name(kind, name)
            wanted.setdefault(place, []).append(_Claim(row.id, kind, name, claim_id))
    lacking: list[_Claim] = []
    for shard, claims in wanted.items():
        asked = select(*_CLAIM).where(NameClaim.id.in_([claim.id for claim in claims]))
        with shards.read(shard) as connection:
            held = {_Claim(*row) for row in connection.execute(asked)}
        lacking += [claim for claim in claims if claim not in held]
    return lacking


def _claim_again(shards: Shards, claim: _Claim, write: Write) -> None:
    """Put the claim back, unless somebody else has taken the name since: then it stays for a person to decide."""
    with write(shards.for_name(claim.kind, claim.name)) as writer:
        values = {"id": claim.id, "kind": claim.kind, "name": claim.name, "holder_id": claim.user_id}
        writer.insert_once(NameClaim, values | {"held_until": None})


def _kept_for_nobody(shards: Shards, shard: int) -> Iterator[Difference]:
    # A claim with a time is none of ours: the sweep frees it when that is over.
    columns: list[Any] = [NameClaim.id, NameClaim.kind, NameClaim.holder_id]
    kept = select(*columns).where(NameClaim.held_until.is_(None))
    for rows in batches(shards, shard, kept.where(NameClaim.kind.in_([USERNAME, EMAIL])), key=[NameClaim.id]):
        groups = shards.by_shard({row.holder_id for row in rows})
        named: set[tuple[int, int]] = set()
        for home, ids in groups.items():
            with shards.read(home) as connection:
                for user in connection.execute(select(*_COLUMNS).where(User.id.in_(ids))):
                    named |= {(user.id, user.username_claim_id), (user.id, user.email_claim_id)}
        for row in rows:
            if (row.holder_id, row.id) in named:
                continue
            late = has_waiting(shards, shards.of(row.holder_id), ["claim.release"])
            yield Difference(
                "claim.nobody", f"claim {row.id} of a {row.kind} is kept for an account that has another",
                partial(_free, shard, row.id), late=late,
            )  # fmt: skip


def _free(shard: int, claim_id: int, write: Write) -> None:
    """Give the claim a time that is over: the sweep frees it, if then it is still named by nobody."""
    with write(shard) as writer:
        writer.execute(
            update(NameClaim)
            .where(NameClaim.id == claim_id, NameClaim.held_until.is_(None))
            .values(held_until=datetime.now(UTC))
            .execution_options(synchronize_session=False)
        )

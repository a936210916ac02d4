"""Names that are unique over all shards: claims, and the fences that decide a race for one (DESIGN 2).

A claim counts only while the user row names it back, or until ``held_until``. The transaction that writes the user row
inserts a fence for every claim it names; whoever wants to free a claim must insert that fence first. So a claim is
never freed under a sign-up that is about to commit, however slow it is.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pyramid.config import Configurator
from sqlalchemy import delete, select, update

from photoapp.errors import Conflict, ShardUnavailable
from photoapp.models import ClaimFence, NameClaim, User
from photoapp.sharding.ids import normalised
from photoapp.sharding.shards import Shards
from photoapp.sharding.writer import Writer

USERNAME, EMAIL = "username", "email"
SIGN_UP_HOLD = timedelta(seconds=30)
"""How long a claim is kept for a sign-up that has not committed: as long as its Idempotency-Key is leased."""


class NameService:
    """Claims of usernames and e-mail addresses."""

    def __init__(self, *, shards: Shards) -> None:
        self._shards = shards

    def claim(self, kind: str, name: str, *, holder_id: int) -> int:
        """Take the name for an account; the answer is the claim's id. Raises ``Conflict`` if it is somebody else's."""
        key, now = normalised(name), datetime.now(UTC)
        for _ in range(2):
            with self._shards.write(self._shards.for_name(kind, key)) as writer:
                claim_id = writer.next_id()
                taken = {
                    "id": claim_id, "kind": kind, "name": key, "holder_id": holder_id, "held_until": now + SIGN_UP_HOLD,
                }  # fmt: skip
                if writer.insert_once(NameClaim, taken):
                    return claim_id
                held = writer.execute(
                    select(NameClaim).where(NameClaim.kind == kind, NameClaim.name == key)
                ).scalar_one()
                if held.holder_id == holder_id:
                    writer.execute(
                        update(NameClaim).where(NameClaim.id == held.id).values(held_until=now + SIGN_UP_HOLD)
                    )
                    return int(held.id)
            if not self.free_if_abandoned(held, now=now):
                break
        raise Conflict(f"{kind}: {name} is taken")

    def name_back(self, writer: Writer, *claim_ids: int) -> None:
        """Fence the claims that the user row written here names. Raises ``Conflict`` if one was given up meanwhile."""
        for claim_id in claim_ids:
            if not writer.insert_once(ClaimFence, {"claim_id": claim_id, "named": True}):
                named = writer.execute(select(ClaimFence.named).where(ClaimFence.claim_id == claim_id)).scalar_one()
                if not named:
                    raise Conflict("the name was held for too long; try again")

    def give_up(self, claim_id: int, *, kind: str, name: str, holder_id: int) -> None:
        """Free the claim of a sign-up that failed. Quiet where a shard is away: the sweep does it later."""
        try:
            with self._shards.write(self._shards.of(holder_id)) as writer:
                if not writer.insert_once(ClaimFence, {"claim_id": claim_id, "named": False}):
                    return
            with self._shards.write(self._shards.for_name(kind, normalised(name))) as writer:
                writer.execute(delete(NameClaim).where(NameClaim.id == claim_id))
        except ShardUnavailable:
            return

    def hold(self, kind: str, name: str, *, claim_id: int, until: datetime) -> None:
        """Keep a name from others until then, whatever the holder's row says. Before the holder stops naming it."""
        with self._shards.write(self._shards.for_name(kind, normalised(name))) as writer:
            writer.execute(update(NameClaim).where(NameClaim.id == claim_id).values(held_until=until))

    def holder(self, kind: str, name: str) -> int | None:
        """The account that has the name, if its row names it back; else None."""
        key = normalised(name)
        with self._shards.read(self._shards.for_name(kind, key)) as connection:
            claim = connection.execute(
                select(NameClaim.id, NameClaim.holder_id).where(NameClaim.kind == kind, NameClaim.name == key)
            ).one_or_none()
        if claim is None:
            return None
        return claim.holder_id if self._named_back(claim.id, kind, claim.holder_id) else None

    def free_if_abandoned(self, claim: NameClaim, *, now: datetime) -> bool:
        """Delete a claim that is past its time and that no user row names. Whether it was deleted."""
        if claim.held_until is None or claim.held_until > now:
            return False
        with self._shards.write(self._shards.of(claim.holder_id)) as writer:
            won = writer.insert_once(ClaimFence, {"claim_id": claim.id, "named": False})
            fence_named = not won and bool(
                writer.execute(select(ClaimFence.named).where(ClaimFence.claim_id == claim.id)).scalar_one()
            )
        named_back = fence_named and self._named_back(claim.id, claim.kind, claim.holder_id)
        with self._shards.write(self._shards.for_name(claim.kind, claim.name)) as writer:
            # Its time is compared again: its holder may have taken it back since we looked.
            still = (NameClaim.id == claim.id, NameClaim.held_until <= now)
            if named_back:
                writer.execute(update(NameClaim).where(*still).values(held_until=None))
                return False
            return bool(writer.execute(delete(NameClaim).where(*still)).rowcount)  # type: ignore[attr-defined]

    def free_abandoned(self, shard: int, *, now: datetime, limit: int = 100) -> int:
        """Look through one shard's claims whose time is over; how many were freed. For the sweep."""
        with self._shards.read(shard) as connection:
            rows = connection.execute(
                select(NameClaim.id, NameClaim.kind, NameClaim.name, NameClaim.holder_id, NameClaim.held_until)
                .where(NameClaim.held_until <= now)
                .limit(limit)
            ).all()
        return sum(self.free_if_abandoned(NameClaim(**row._mapping), now=now) for row in rows)  # noqa: SLF001 - its public name

    def _named_back(self, claim_id: int, kind: str, holder_id: int) -> bool:
        column = User.username_claim_id if kind == USERNAME else User.email_claim_id
        with self._shards.read(self._shards.of(holder_id)) as connection:
            return connection.execute(select(column).where(User.id == holder_id)).scalar() == claim_id


def includeme(config: Configurator) -> None:
    """``registry.names``."""
    config.registry.names = NameService(shards=config.registry.shards)

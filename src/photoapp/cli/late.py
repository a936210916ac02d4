"""Changes made by a command, and the wait for what they lead to.

A command may run beside a server that keeps versions and feeds in its own memory, where the command cannot
reach. So it writes rows and outbox rows only, and whoever works the queue, the server or else the command
itself, applies them (DESIGN 5). When the wait is over, every server answers with the change.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Row, select

from photoapp.cli.output import Failure, progress
from photoapp.jobs import start_workers
from photoapp.jobs.registry import Work
from photoapp.jobs.settle import settle, wake
from photoapp.models import Outbox, OutboxState
from photoapp.sharding.ids import shard_of
from photoapp.sharding.writer import Writer

POLL_S = 0.05
AT_ONCE = 500
"""Rows asked for in one statement."""


@dataclass(frozen=True, slots=True)
class Stuck:
    """A row that will not be done by waiting."""

    id: int
    error: str


class Late:
    """Writes shards, remembers the outbox rows, and waits for them."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._pending: set[int] = set()
        self._works = False

    @contextmanager
    def write(self, shard: int) -> Iterator[Writer]:
        """A writer in a transaction of its own. What it owes to the tiers is written as outbox rows, too.

        Raises ``Unavailable``; ``OutcomeUnknown`` where the change is made and something that belongs before the
        answer is not.
        """
        with self._work.shards.write(shard) as writer:
            first = writer.next_id()
            yield writer
            post_debts(writer)
            due = select(Outbox.id).where(Outbox.id > first, Outbox.due_at <= datetime.now(UTC))
            # On PostgreSQL other writers' rows of this moment may be among them; waiting for those too does no harm.
            posted = set(writer.execute(due).scalars())
        self._pending |= posted
        settle(self._work, writer.effects)

    def watch(self, ids: Iterable[int]) -> None:
        """Wait for these rows too."""
        self._pending.update(ids)

    def wait(self, *, timeout_s: float, label: str = "Waiting for the servers") -> None:
        """Until every row is done. Raises ``Failure`` for a dead one, or where some are not done in time."""
        stuck = self.wait_for_all(timeout_s=timeout_s, label=label)
        if stuck:
            raise Failure(
                f"job {stuck[0].id} is dead: {stuck[0].error} (try again with: photoapp jobs retry {stuck[0].id})"
            )

    def wait_for_all(
        self, *, timeout_s: float, label: str = "Waiting for the servers", one_try: bool = False
    ) -> list[Stuck]:
        """Until every row is done or dead; with ``one_try`` a row that failed once counts as stuck, too.

        Raises ``Failure`` where some are still waiting after ``timeout_s`` seconds.
        """
        deadline = time.monotonic() + timeout_s
        stuck: list[Stuck] = []
        total = len(self._pending)
        if not total:
            return stuck
        with progress(total, label) as bar:
            self._look(stuck, one_try=one_try)
            if self._pending and not self._works:
                # Only now: were this process to work earlier, a server that starts meanwhile would not, and what
                # is owed to that server's memory would be applied to this one's.
                self._works = True
                start_workers(self._work.registry)
                self._wake()
            while True:
                bar.update(total - len(self._pending) - bar.pos)
                if not self._pending:
                    return stuck
                if time.monotonic() >= deadline:
                    raise Failure(self._unfinished(timeout_s))
                time.sleep(POLL_S)
                self._look(stuck, one_try=one_try)

    def _look(self, stuck: list[Stuck], *, one_try: bool) -> None:
        for row in list(self._rows()):
            error = row.error or ""
            if row.state == OutboxState.DEAD or (one_try and row.error and row.state == OutboxState.WAITING):
                stuck.append(Stuck(row.id, error))
                self._pending.discard(row.id)
            elif row.state == OutboxState.DONE:
                self._pending.discard(row.id)

    def _rows(self) -> Iterator[Row[int, int, str | None]]:
        groups: defaultdict[int, list[int]] = defaultdict(list)
        for id_ in sorted(self._pending):
            groups[shard_of(id_)].append(id_)
        for shard, ids in groups.items():
            with self._work.shards.read(shard) as connection:
                # The oldest are done first: the others are asked for when these are.
                asked = select(Outbox.id, Outbox.state, Outbox.error).where(Outbox.id.in_(ids[:AT_ONCE]))
                rows = connection.execute(asked).all()
            yield from rows
            self._pending.difference_update(set(ids[:AT_ONCE]) - {row.id for row in rows})  # done and tidied away

    def _wake(self) -> None:
        for shard in {shard_of(id_) for id_ in self._pending}:
            for queue in ("fast", "outside", "slow"):
                wake(self._work, self._work.shards.map.database_of(shard).name, queue, [shard])

    def _unfinished(self, timeout_s: float) -> str:
        errors = sorted({row.error for row in self._rows() if row.error})
        reason = f"the last error was: {errors[0]}" if errors else "is any worker running?"
        return (
            f"the change is made, but {len(self._pending)} jobs that follow from it are not done "
            f"after {timeout_s:g} s; {reason}"
        )


def post_debts(writer: Writer) -> None:
    """What the transaction owes to tiers, once more as outbox rows.

    Services leave some of it out, since another row of theirs says it in a request: here there is no request.
    """
    effects = writer.effects
    if effects.versions:
        writer.post("versions.move", {"names": sorted(effects.versions)})
    # A photo for its author's own list: the list is made anew when it is next read.
    users = effects.feed_drops | {user for user, _ in effects.feed_pushes}
    if users:
        writer.post("feed.drop", {"users": sorted(users)})

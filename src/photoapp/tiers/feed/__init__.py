"""Feeds: bounded lists of media ids, strictly descending. Lists are disposable; the shards hold the truth.

A user's id names the user's home feed; ``author_list(id)`` names the list of what that account alone has published.

A list is *absent* (nobody asked for it, or it was dropped), *being built* (it takes pushes, no reader uses it),
*complete* (it reaches the end of what its owner may see) or *trimmed* (older items are only in the shards). The
protocol makes a rebuild exact without a lock: the builder puts the list there first and reads the shards afterwards, so
whatever commits after its read arrives as a push (DESIGN 4).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from photoapp.tiers.base import Tier

MAX_ID = 2**63 - 1


def author_list(account_id: int) -> int:
    """The name of the list of an account's own photos. Followers of an account that is too large to push to merge it
    into their pages (DESIGN 4).
    """
    return -account_id


@dataclass(frozen=True, slots=True)
class FeedPage:
    """A stretch of one list."""

    ids: list[int]
    """Strictly descending."""
    more: bool
    """Whether the list itself holds ids below the last one given (and above ``min_id``)."""
    complete: bool
    """Whether the list reaches the end of the feed. If not, older items are only in the shards."""
    floor: int
    """The list's lowest id, 0 for an empty list: where a trimmed list hands over to the shards."""


class Beside(Protocol):
    """A call on its way with another tier's."""

    def result(self) -> list[FeedPage | None] | None:
        """None if it did not succeed, or nobody took it along: then it can be asked in the usual way."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Lists that may lack pushes and drops, since their engine came back with an older state. Absent until closed."""

    part: str
    """Which lists, in the plugin's words."""
    since: float | None
    """Everything done before this moment (seconds since 1970, the clock of ``gaps``) is there. None: nothing is, and
    closing the gap empties these lists."""
    token: str
    """Whose it is to close."""


class FeedTier(Tier):
    """The contract. Items are ids of 1 to 2**63-2; users are too, or such ids' negatives (``author_list``).

    Methods raise ``TierUnavailable`` and nothing else.
    """

    kind: ClassVar[str] = "feed"

    def push_many(self, users: Sequence[int], item: int) -> None:
        """Put ``item`` into the list of each user, where it belongs in descending order.

        Only into lists that exist (absent stays absent; a list being built takes it). The same item twice stands once.
        A list longer than ``tier.feed.length`` loses its lowest ids and is trimmed from then on; an id below the floor
        of a trimmed list is ignored, since a list never has a gap. Any order of pushes gives the same list. One call
        serves thousands of users.
        """
        with self.guarded("push_many"):
            self._push_many(users, item)

    def page(self, user: int, *, count: int, max_id: int | None = None, min_id: int | None = None) -> FeedPage | None:
        """Up to ``count`` ids below ``max_id`` and above ``min_id`` (both exclusive), newest first.

        None if the list is absent or being built. A page does not shift when items arrive above it.
        """
        with self.guarded("page"):
            return self._page(user, count, max_id if max_id is not None else MAX_ID, min_id or 0)

    def pages(
        self, users: Sequence[int], *, count: int, max_id: int | None = None, min_id: int | None = None
    ) -> list[FeedPage | None]:
        """``page`` of several lists, in the order asked, in one round trip."""
        with self.guarded("pages"):
            return self._pages(users, count, max_id if max_id is not None else MAX_ID, min_id or 0)

    def beside(self, users: Sequence[int], *, count: int) -> Beside | None:
        """``pages`` of these lists' newest ids, to be asked beside a call of the session tier; its result is what
        ``pages`` gives. None where that gains nothing.
        """
        del users, count
        return None

    def begin_build(self, user: int) -> str | None:
        """Take the build of the list: from now on it exists and takes pushes. The answer is the build's token.

        None while another build's lease (30 s) runs, or if the list stands already built. An expired lease is taken
        over, and the old builder's token is void. What was pushed while being built stays.
        """
        with self.guarded("begin_build"):
            return self._begin_build(user)

    def finish_build(self, user: int, token: str, items: Sequence[int], *, complete: bool) -> bool:
        """Merge ``items`` (any order) with what was pushed meanwhile; the list is built.

        ``complete`` says that nothing older than the lowest item exists. False, and nothing happens, if the token is no
        longer the list's own: it was dropped or taken over.
        """
        with self.guarded("finish_build"):
            return self._finish_build(user, token, items, complete)

    def drop(self, users: Sequence[int]) -> None:
        """Make the lists absent, running builds included: their tokens are void. Idempotent."""
        with self.guarded("drop"):
            self._drop(users)

    def remove(self, users: Sequence[int], item: int) -> None:
        """Take ``item`` out of lists that hold it. Idempotent. Readers filter anyway; this only keeps lists tidy.

        A list that is not complete and holds nothing more is absent again: it has no floor to hand over at.
        """
        with self.guarded("remove"):
            self._remove(users, item)

    def gaps(self, *, now: float) -> list[Gap]:
        """What has to be made good since an engine restarted, was restored or failed over, each gap to one caller.

        To be called every second by somebody: it also writes down that everything done before ``now`` (seconds
        since 1970) has arrived. Whoever gets a gap applies again every push and drop since ``since``, less what clocks
        may differ by, and then calls ``close_gap``; if nothing comes of it within five minutes, another caller gets the
        gap. Meanwhile ``page`` and ``begin_build`` answer None for these lists, and pushes, drops and removals reach
        them. An engine that is away has no gap yet; that is not an error here.
        """
        with self.guarded("gaps"):
            return self._gaps(now)

    def close_gap(self, gap: Gap, *, now: float) -> bool:
        """The lists of the gap count again. False, and nothing happens, if it is no longer the caller's to close."""
        with self.guarded("close_gap"):
            return self._close_gap(gap, now)

    def _pages(self, users: Sequence[int], count: int, below: int, above: int) -> list[FeedPage | None]:
        return [self._page(user, count, below, above) for user in users]

    def _gaps(self, now: float) -> list[Gap]:
        del now
        return []  # of a plugin whose lists are current or gone

    def _close_gap(self, gap: Gap, now: float) -> bool:
        del gap, now
        return False

    @abstractmethod
    def _push_many(self, users: Sequence[int], item: int) -> None: ...

    @abstractmethod
    def _page(self, user: int, count: int, below: int, above: int) -> FeedPage | None: ...

    @abstractmethod
    def _begin_build(self, user: int) -> str | None: ...

    @abstractmethod
    def _finish_build(self, user: int, token: str, items: Sequence[int], complete: bool) -> bool: ...  # noqa: FBT001

    @abstractmethod
    def _drop(self, users: Sequence[int]) -> None: ...

    @abstractmethod
    def _remove(self, users: Sequence[int], item: int) -> None: ...

"""Accounts as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from photoapp.models import FollowState
from photoapp.presenters.urls import Urls
from photoapp.services.facts import Account
from photoapp.services.relationships import Relation

_KEPT = 20_000


class PeoplePresenter:
    """Cards as finished bytes, kept for as long as the same account value is in use."""

    def __init__(self, urls: Urls) -> None:
        self._urls = urls
        self._cards: dict[int, tuple[Account, orjson.Fragment]] = {}

    def card(self, account: Account) -> orjson.Fragment:
        """user(short)."""
        kept = self._cards.get(account.id)
        if kept is not None and kept[0] is account:
            return kept[1]
        fragment = orjson.Fragment(orjson.dumps(self._short(account)))
        if len(self._cards) >= _KEPT:
            self._cards.clear()
        self._cards[account.id] = (account, fragment)
        return fragment

    def cards(self, accounts: Iterable[Account]) -> list[orjson.Fragment]:
        """[user(short)]."""
        return [self.card(account) for account in accounts]

    def profile(self, account: Account) -> dict[str, Any]:
        """user(full)."""
        return self._short(account) | {
            "bio": account.bio,
            "website": account.website,
            "is_private": account.is_private,
            "counts": {
                "media": account.media_count,
                "follows": account.follows_count,
                "followed_by": account.followed_by_count,
            },
        }

    def _short(self, account: Account) -> dict[str, Any]:
        return {
            "id": str(account.id),
            "username": account.username,
            "full_name": account.full_name,
            "profile_picture": self._urls.picture(account),
        }


def present_relation(relation: Relation, *, target_is_private: bool) -> dict[str, Any]:
    """relationship: exactly its three keys."""
    outgoing = {FollowState.NONE: "none", FollowState.REQUESTED: "requested", FollowState.ACCEPTED: "follows"}
    incoming = {FollowState.NONE: "none", FollowState.REQUESTED: "requested_by", FollowState.ACCEPTED: "followed_by"}
    return {
        "outgoing_status": outgoing[relation.outgoing],
        "incoming_status": "blocked_by_you" if relation.blocked_by_viewer else incoming[relation.incoming],
        "target_user_is_private": target_is_private,
    }

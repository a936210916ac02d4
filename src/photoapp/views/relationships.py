"""Follows, requests, blocks."""

from __future__ import annotations

from typing import Any

from photoapp.contexts import AccountContext
from photoapp.errors import InvalidParameter, NotFound
from photoapp.presenters.people import present_relation
from photoapp.renderers import envelope
from photoapp.security.permissions import Permission
from photoapp.services.relationships import RelationshipService
from photoapp.types import Request
from photoapp.views.api import api_read, api_write
from photoapp.views.lists import answer_people

PEOPLE_DEFAULT = 50
_ON_THEIRS = frozenset({"follow", "unfollow"})
"""Actions whose truth lives with the other; of all others it lives with the caller (DESIGN law 3)."""
_ON_MINE = frozenset({"block", "unblock", "approve", "ignore", "deny", "remove_follower"})


@api_read("user.follows", "self.follows", permission=Permission.RELATION_READ)
def follows(context: AccountContext, request: Request) -> dict[str, Any]:
    """GET /users/{id|self}/follows."""
    context.require_contents()
    given = request.input
    page = request.registry.listings.follows(
        context.viewer,
        context.account.id,
        count=given.count(default=PEOPLE_DEFAULT),
        cursor=given.cursor("cursor"),
        away=request.away,
    )
    return answer_people(request, page)


@api_read("user.followed_by", "self.followed_by", permission=Permission.RELATION_READ)
def followed_by(context: AccountContext, request: Request) -> dict[str, Any]:
    """GET /users/{id|self}/followed-by."""
    context.require_contents()
    given = request.input
    page = request.registry.listings.followers(
        context.viewer,
        context.account.id,
        count=given.count(default=PEOPLE_DEFAULT),
        cursor=given.cursor("cursor"),
        away=request.away,
    )
    return answer_people(request, page)


@api_read("self.requested_by", permission=Permission.RELATION_READ)
def requested_by(context: AccountContext, request: Request) -> dict[str, Any]:
    """GET /users/self/requested-by."""
    given = request.input
    page = request.registry.listings.requesters(
        context.viewer,
        count=given.count(default=PEOPLE_DEFAULT),
        cursor=given.cursor("cursor"),
        away=request.away,
    )
    return answer_people(request, page)


@api_read("self.blocks", permission=Permission.RELATION_READ)
def blocks(context: AccountContext, request: Request) -> dict[str, Any]:
    """GET /users/self/blocks."""
    given = request.input
    page = request.registry.listings.blocks(
        context.viewer,
        count=given.count(default=PEOPLE_DEFAULT),
        cursor=given.cursor("cursor"),
        away=request.away,
    )
    return answer_people(request, page)


@api_read("user.relationship", permission=Permission.RELATION_READ)
def relationship(context: AccountContext, request: Request) -> dict[str, Any]:
    """GET /users/{id}/relationship."""
    return answer_relation(context, request, None)


def answer_relation(context: AccountContext, request: Request, result_id: int | None) -> dict[str, Any]:
    """relationship, as it stands now."""
    del result_id
    relation = _relationships(request).between(request.caller.user_id or 0, context.account.id)
    return envelope(present_relation(relation, target_is_private=context.account.is_private))


def relation_shard(context: AccountContext, request: Request) -> int:
    """The shard of the edge's truth."""
    action = request.input.choice("action", _ON_THEIRS | _ON_MINE)
    person = context.account.id if action in _ON_THEIRS else request.caller.user_id or 0
    return request.shards.of(person)


@api_write(
    "user.relationship",
    method="POST",
    permission=Permission.RELATION_EDIT,
    answer=answer_relation,
    shard=relation_shard,
)
def change(context: AccountContext, request: Request) -> None:
    """POST /users/{id}/relationship."""
    action = request.input.choice("action", _ON_THEIRS | _ON_MINE)
    me, other = request.caller.user_id or 0, context.account.id
    if me == other:
        raise InvalidParameter("id", "is your own")
    if other in context.viewer.blocks and action not in {"block", "unblock"}:
        # Cut off: as unknown as it would be from the other side, until the block is taken back.
        raise NotFound("no such user")
    writer, edges = request.writer(relation_shard(context, request)), _relationships(request)
    match action:
        case "follow":
            edges.follow(writer, follower_id=me, followed_id=other)
        case "unfollow":
            edges.end_follow(writer, follower_id=me, followed_id=other)
        case "remove_follower":
            edges.end_follow(writer, follower_id=other, followed_id=me)
        case "approve":
            edges.approve(writer, follower_id=other, followed_id=me)
        case "ignore" | "deny":
            edges.deny(writer, follower_id=other, followed_id=me)
        case "block":
            edges.block(writer, blocker_id=me, blocked_id=other)
        case "unblock":
            edges.unblock(writer, blocker_id=me, blocked_id=other)


def _relationships(request: Request) -> RelationshipService:
    relationships: RelationshipService = request.registry.relationships
    return relationships

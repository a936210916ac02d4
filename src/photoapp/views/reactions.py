"""Likes and comments."""

from __future__ import annotations

from typing import Any

from photoapp.contexts import MediaContext, ReactionContext
from photoapp.errors import InvalidParameter, NotAllowed, NotFound
from photoapp.renderers import envelope
from photoapp.security.permissions import Permission
from photoapp.services.captions import check_comment
from photoapp.services.reactions import ReactionService
from photoapp.types import Request
from photoapp.views.api import answer_nothing, api_read, api_write, media_shard
from photoapp.views.params import parse_id


@api_read("media.likes", permission=Permission.MEDIA_READ)
def likers(context: MediaContext, request: Request) -> dict[str, Any]:
    """GET /media/{id}/likes."""
    accounts = request.registry.listings.likers(context.viewer, context.media_id, away=request.away)
    return envelope(request.registry.people_presenter.cards(accounts))


@api_write("media.likes", method="POST", permission=Permission.LIKE_EDIT, answer=answer_nothing, shard=media_shard)
def like(context: ReactionContext, request: Request) -> None:
    """POST /media/{id}/likes."""
    _set_like(context, request, active=True)


@api_write("media.likes", method="DELETE", permission=Permission.LIKE_EDIT, answer=answer_nothing, shard=media_shard)
def unlike(context: ReactionContext, request: Request) -> None:
    """DELETE /media/{id}/likes."""
    _set_like(context, request, active=False)


@api_read("media.comments", permission=Permission.MEDIA_READ)
def comments(context: MediaContext, request: Request) -> dict[str, Any]:
    """GET /media/{id}/comments."""
    listings, presenter = request.registry.listings, request.registry.media_presenter
    remarks, authors = listings.comments(context.viewer, context.media_id, away=request.away)
    return envelope(presenter.comments(remarks, viewer=context.viewer, accounts=authors))


def answer_comment(context: MediaContext | ReactionContext, request: Request, result_id: int | None) -> dict[str, Any]:
    """comment, as it stands now. Raises ``NotFound`` if it was removed meanwhile."""
    remark = request.registry.listings.comment(context.media_id, result_id)
    authors = request.registry.catalog.accounts([] if remark is None else [remark.user_id])
    shown = request.registry.media_presenter.comments(
        [] if remark is None else [remark], viewer=context.viewer, accounts=authors
    )
    if not shown:
        raise NotFound("no such comment")
    return envelope(shown[0])


@api_write(
    "media.comments", method="POST", permission=Permission.COMMENT_EDIT, answer=answer_comment, shard=media_shard
)
def comment(context: ReactionContext, request: Request) -> int:
    """POST /media/{id}/comments."""
    text = check_comment(request.input.required("text"))
    return _reactions(request).comment(
        request.writer(media_shard(context, request)),
        media_id=context.media_id,
        owner_id=context.owner.id,
        user_id=request.caller.user_id or 0,
        text=text,
    )


@api_write(
    "media.comment", method="DELETE", permission=Permission.COMMENT_EDIT, answer=answer_nothing, shard=media_shard
)
def remove_comment(context: MediaContext, request: Request) -> None:
    """DELETE /media/{id}/comments/{comment_id}."""
    try:
        comment_id = parse_id(request.matchdict["comment_id"], "comment_id")
    except InvalidParameter:
        raise NotFound("no such comment") from None
    try:
        _reactions(request).remove_comment(
            request.writer(media_shard(context, request)),
            media_id=context.media_id,
            owner_id=context.owner.id,
            comment_id=comment_id,
            by=request.caller.user_id or 0,
        )
    except NotAllowed:
        answer_comment(context, request, comment_id)  # raises NotFound where its author is hidden from the caller
        raise


def _set_like(context: ReactionContext, request: Request, *, active: bool) -> None:
    _reactions(request).set_like(
        request.writer(media_shard(context, request)),
        media_id=context.media_id,
        user_id=request.caller.user_id or 0,
        active=active,
    )


def _reactions(request: Request) -> ReactionService:
    reactions: ReactionService = request.registry.reactions
    return reactions

"""What a path names, found before the view runs: a 404 comes from here, and so does every ACL (STYLE T12)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pyramid.authorization import Allow

from photoapp.errors import CredentialsMissing, InvalidParameter, NotFound
from photoapp.presenters.shortcode import media_id_of
from photoapp.security.permissions import Permission
from photoapp.services.facts import Account, Photo
from photoapp.types import Request
from photoapp.views.params import parse_id
from photoapp.visibility import Viewer, require, require_card, shows, shows_card

Acl = list[tuple[str, str, Any]]


@dataclass(frozen=True, slots=True)
class ApiContext:
    """A path that names no object."""

    __acl__: ClassVar[Acl] = [
        (Allow, "trusted", Permission.ACCOUNT_CREATE),
        (Allow, "client", Permission.ACCOUNT_READ),
        (Allow, "user", [Permission.SELF_READ, Permission.MEDIA_PUBLISH]),
    ]


@dataclass(frozen=True, slots=True)
class AccountContext:
    """An account, as far as the viewer may know that it exists."""

    account: Account
    viewer: Viewer

    def __acl__(self) -> Acl:
        return [
            (Allow, "client", Permission.ACCOUNT_READ),
            (Allow, "user", [Permission.RELATION_READ, Permission.RELATION_EDIT]),
            (Allow, f"user:{self.account.id}", Permission.SELF_EDIT),
        ]

    def require_contents(self) -> None:
        """Raise ``NotAllowed`` if the account is private and the viewer does not follow it."""
        require(self.viewer, self.account)


@dataclass(frozen=True, slots=True)
class MediaContext:
    """A live photo that the viewer may see."""

    photo: Photo
    owner: Account
    viewer: Viewer

    @property
    def media_id(self) -> int:
        """The photo's id."""
        return self.photo.id

    def __acl__(self) -> Acl:
        return [
            (Allow, "client", Permission.MEDIA_READ),
            (Allow, "user", [Permission.LIKE_EDIT, Permission.COMMENT_EDIT]),
            (Allow, f"user:{self.owner.id}", Permission.MEDIA_EDIT),
        ]


def api_context(request: Request) -> ApiContext:
    """For paths without an object."""
    del request
    return ApiContext()


def account_context(request: Request) -> AccountContext:
    """``/users/{id}``. Raises ``NotFound`` for an unknown, deleted, suspended or cut-off account."""
    viewer = request.viewer
    account = request.registry.catalog.account(_path_id(request, "id"))
    require_card(viewer, account)
    return AccountContext(account, viewer)


def relation_context(request: Request) -> AccountContext:
    """``/users/{id}/relationship``: also for an account that the viewer blocks: a block can be seen and taken back."""
    viewer = request.viewer
    account = request.registry.catalog.account(_path_id(request, "id"))
    if account is None or not account.is_active:
        raise NotFound("no such user")
    if account.id not in viewer.blocks:
        require_card(viewer, account)
    return AccountContext(account, viewer)


def own_context(request: Request) -> AccountContext:
    """``/users/self``."""
    if request.caller.user_id is None:
        raise CredentialsMissing("This call needs the access_token of a user.")
    account = request.registry.catalog.account(request.caller.user_id)
    if account is None:
        raise NotFound("no such user")
    return AccountContext(account, request.viewer)


@dataclass(frozen=True, slots=True)
class ReactionContext:
    """A photo to react to, whose owner the viewer may see. Whether it is live is asked when the reaction is written."""

    media_id: int
    owner: Account
    viewer: Viewer

    __acl__: ClassVar[Acl] = [(Allow, "user", [Permission.LIKE_EDIT, Permission.COMMENT_EDIT])]


def reaction_context(request: Request) -> MediaContext | ReactionContext:
    """``/media/{id}/likes`` and ``/comments``: as ``media_context``. Raises what it raises.

    A reaction moves the photo's version, so that the next one would find nothing of it in any cache. It needs only the
    owner, who never changes.
    """
    if request.method not in {"POST", "DELETE"}:
        return media_context(request)
    viewer, catalog = request.viewer, request.registry.catalog
    media_id = _path_id(request, "id")
    owner_id = catalog.owner_of(media_id)
    owner = None if owner_id is None else catalog.account(owner_id, known=request.caller.ahead.versions)
    if owner is None or not shows(viewer, owner):
        return media_context(request)  # which knows the words of the refusal
    return ReactionContext(media_id, owner, viewer)


def media_context(request: Request) -> MediaContext:
    """``/media/{id}``: a media id or a composite one. Raises ``NotFound``, ``NotAllowed``."""
    return _media_context(request, _path_id(request, "id"))


def shortcode_context(request: Request) -> MediaContext:
    """``/media/shortcode/{code}``. Raises ``NotFound``, ``NotAllowed``."""
    return _media_context(request, media_id_of(request.matchdict["code"]))


def _media_context(request: Request, media_id: int) -> MediaContext:
    viewer, catalog, known = request.viewer, request.registry.catalog, request.caller.ahead.versions
    photo = catalog.photo(media_id, known=known)
    if photo is None or not photo.is_live:
        raise NotFound("no such media")
    owner = catalog.account(photo.owner_id, known=known)
    if owner is None or not shows_card(viewer, owner):
        # In the words of an unknown one: a hidden photo cannot be told from it (PROMISES SEC-32).
        raise NotFound("no such media")
    require(viewer, owner)
    return MediaContext(photo, owner, viewer)


def _path_id(request: Request, name: str) -> int:
    try:
        return parse_id(request.matchdict[name], name)
    except InvalidParameter:
        raise NotFound("no such id") from None


def foreseen(request: Request) -> list[str]:
    """The versions that the path's object will be asked by, where this process has met it (DESIGN 3)."""
    route = request.matched_route
    if route is None or not route.name.startswith("media.") or "id" not in request.matchdict:
        return []
    try:
        media_id = _path_id(request, "id")
    except NotFound:
        return []
    names: list[str] = request.registry.catalog.versions_for(media_id)
    return names


def viewer_of(request: Request) -> Viewer:
    """The caller's facts. Raises what resolving the caller raises."""
    caller = request.caller
    viewer: Viewer = request.registry.catalog.viewer(caller.user_id, known=caller.ahead.versions)
    return viewer

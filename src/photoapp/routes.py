"""Every path, once. Static names stand before ``{id}``; the hot read stands first (DESIGN 10)."""

from __future__ import annotations

from pyramid.config import Configurator

from photoapp.contexts import (
    account_context,
    api_context,
    foreseen,
    media_context,
    own_context,
    reaction_context,
    relation_context,
    shortcode_context,
    viewer_of,
)  # fmt: skip


def includeme(config: Configurator) -> None:
    """All routes, and ``request.viewer``."""
    config.add_request_method(viewer_of, "viewer", reify=True)
    config.add_request_method(foreseen, "foreseen", property=True)

    # Each path is tried in order: what is asked most stands first.
    config.add_route("feed", "/v1/users/self/feed", factory=api_context)

    config.add_route("media", "/v1/media", factory=api_context)
    config.add_route("media.shortcode", "/v1/media/shortcode/{code}", factory=shortcode_context)
    config.add_route("media.one", "/v1/media/{id}", factory=media_context)
    config.add_route("media.likes", "/v1/media/{id}/likes", factory=reaction_context)
    config.add_route("media.comments", "/v1/media/{id}/comments", factory=reaction_context)
    config.add_route("media.comment", "/v1/media/{id}/comments/{comment_id}", factory=media_context)

    config.add_route("users", "/v1/users", factory=api_context)
    config.add_route("self", "/v1/users/self", factory=own_context)
    config.add_route("self.picture", "/v1/users/self/picture", factory=own_context)
    config.add_route("self.password", "/v1/users/self/password", factory=own_context)
    config.add_route("self.liked", "/v1/users/self/media/liked", factory=api_context)
    config.add_route("self.recent", "/v1/users/self/media/recent", factory=own_context)
    config.add_route("self.follows", "/v1/users/self/follows", factory=own_context)
    config.add_route("self.followed_by", "/v1/users/self/followed-by", factory=own_context)
    config.add_route("self.requested_by", "/v1/users/self/requested-by", factory=own_context)
    config.add_route("self.blocks", "/v1/users/self/blocks", factory=own_context)
    config.add_route("user", "/v1/users/{id}", factory=account_context)
    config.add_route("user.recent", "/v1/users/{id}/media/recent", factory=account_context)
    config.add_route("user.follows", "/v1/users/{id}/follows", factory=account_context)
    config.add_route("user.followed_by", "/v1/users/{id}/followed-by", factory=account_context)
    config.add_route("user.relationship", "/v1/users/{id}/relationship", factory=relation_context)

    config.add_route("oauth.token", "/oauth/access_token")
    config.add_route("image", "/p/{code}/media/")
    config.add_route("files", "/files/{key:.*}")
    config.add_route("home", "/")
    config.add_route("healthz", "/healthz")
    config.add_route("readyz", "/readyz")
    config.add_route("statusz", "/statusz")
    config.add_route("metrics", "/metrics")

"""Accounts: sign-up, profile, password, picture, deletion."""

from __future__ import annotations

from typing import Any

from photoapp.contexts import AccountContext, ApiContext
from photoapp.errors import InvalidParameter
from photoapp.renderers import envelope
from photoapp.security.permissions import Permission
from photoapp.services.accounts import (
    BIO_LIMIT,
    FULL_NAME_LIMIT,
    WEBSITE_LIMIT,
    AccountService,
    checked_email,
    checked_text,
)  # fmt: skip
from photoapp.types import Request
from photoapp.views.api import answer_nothing, api_read, api_write, own_shard
from photoapp.views.media import process_upload


def answer_profile(context: AccountContext, request: Request, result_id: int | None) -> dict[str, Any]:
    """user(full), as it stands now."""
    user_id = result_id if result_id is not None else context.account.id
    account = request.registry.catalog.account(user_id)
    return envelope(request.registry.people_presenter.profile(account))


def sign_up_shard(context: ApiContext, request: Request) -> int:
    """With an Idempotency-Key, the hash of client and key: so that a repeat finds the account it made (DESIGN 2)."""
    del context
    key = request.headers.get("Idempotency-Key", "")
    return request.shards.for_name("sign-up", f"{request.caller.client_id}:{key}")


@api_write("users", method="POST", permission=Permission.ACCOUNT_CREATE, answer=answer_profile, shard=sign_up_shard)
def sign_up(context: ApiContext, request: Request) -> int:
    """POST /users."""
    given, accounts = request.input, _accounts(request)
    keyed = "Idempotency-Key" in request.headers
    if request.account_id is None:
        request.account_id = accounts.reserve_id(sign_up_shard(context, request) if keyed else None)
    user_id = request.account_id
    account = accounts.prepare(
        user_id,
        username=given.required("username"),
        password=given.required("password"),
        email=given.required("email"),
        full_name=given.text("full_name") or "",
    )
    accounts.create(request.writer(request.shards.of(user_id)), account)
    return user_id


@api_read("self", permission=Permission.ACCOUNT_READ)
@api_read("user", permission=Permission.ACCOUNT_READ)
def profile(context: AccountContext, request: Request) -> dict[str, Any]:
    """GET /users/{id|self}."""
    return envelope(request.registry.people_presenter.profile(context.account))


@api_write("self", method="PUT", permission=Permission.SELF_EDIT, answer=answer_profile, shard=own_shard)
def edit_profile(context: AccountContext, request: Request) -> int:
    """PUT /users/self."""
    given, user_id = request.input, context.account.id
    changes: dict[str, Any] = {}
    for field, limit in (("full_name", FULL_NAME_LIMIT), ("bio", BIO_LIMIT), ("website", WEBSITE_LIMIT)):
        if (value := given.text(field)) is not None:
            changes[field] = checked_text(field, value, limit)
    if (website := changes.get("website")) and not website.startswith(("http://", "https://")):
        raise InvalidParameter("website", "must begin with http:// or https://")
    if (is_private := given.boolean("is_private")) is not None:
        changes["is_private"] = is_private
    if (email := given.text("email")) is not None:
        changes["email"] = checked_email(email)
    if (username := given.text("username")) is not None:
        changes |= _accounts(request).claim_username(user_id, username)
    _accounts(request).edit(request.writer(own_shard(context, request)), user_id, changes)
    return user_id


@api_write("self.picture", method="POST", permission=Permission.SELF_EDIT, answer=answer_profile, shard=own_shard)
def set_picture(context: AccountContext, request: Request) -> int:
    """POST /users/self/picture."""
    data = request.input.upload("photo")
    image = process_upload(request, data)
    key = request.registry.photos.store_picture(image)
    _accounts(request).set_picture(
        request.writer(own_shard(context, request)),
        context.account.id,
        storage=request.registry.tiers.storage.name,
        key=key,
    )
    return context.account.id


@api_write("self.password", method="PUT", permission=Permission.SELF_EDIT, answer=answer_nothing, shard=own_shard)
def change_password(context: AccountContext, request: Request) -> None:
    """PUT /users/self/password."""
    given, accounts = request.input, _accounts(request)
    encoded = accounts.change_password(
        context.account.id,
        old_password=given.required("old_password"),
        new_password=given.required("new_password"),
    )
    accounts.store_password(
        request.writer(own_shard(context, request)),
        context.account.id,
        encoded,
        keep_token=request.caller.token_sha256 or "",
    )


@api_write("self", method="DELETE", permission=Permission.SELF_EDIT, answer=answer_nothing, shard=own_shard)
def delete_account(context: AccountContext, request: Request) -> None:
    """DELETE /users/self."""
    accounts = _accounts(request)
    accounts.check_password(context.account.id, request.input.required("password"))
    accounts.delete(request.writer(own_shard(context, request)), context.account.id)


def _accounts(request: Request) -> AccountService:
    accounts: AccountService = request.registry.accounts
    return accounts

"""Accounts: sign-up, profile, password, picture, deletion and its undoing."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pyramid.config import Configurator
from sqlalchemy import insert, select, update

from photoapp.errors import GrantInvalid, InvalidParameter, NotAllowed, PhotoappError
from photoapp.models import AccountState, User
from photoapp.services.catalog import account_version
from photoapp.services.names import EMAIL, USERNAME, NameService
from photoapp.services.passwords import PasswordService
from photoapp.services.relationships import RelationshipService
from photoapp.services.tokens import TokenService
from photoapp.settings import settings_of
from photoapp.sharding.shards import Shards
from photoapp.sharding.writer import Writer

_USERNAME = re.compile(r"[a-z0-9._]{1,30}", re.ASCII)
_EMAIL = re.compile(r"[^\s@\x00-\x1f]{1,64}@[^\s@\x00-\x1f.]+(?:\.[^\s@\x00-\x1f.]+)+")
FULL_NAME_LIMIT, BIO_LIMIT, WEBSITE_LIMIT, EMAIL_LIMIT = 64, 150, 200, 254


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """Keys under ``accounts.``"""

    undo_s: float = 30 * 86_400.0
    """How long a deleted account can come back by logging in; then it is purged."""
    name_hold_s: float = 30 * 86_400.0
    """How long a name given up is kept from everyone but its last owner."""


class AccountService:
    """What happens to accounts; each method writes the account's own shard."""

    def __init__(
        self,
        *,
        shards: Shards,
        names: NameService,
        passwords: PasswordService,
        tokens: TokenService,
        relationships: RelationshipService,
        settings: AccountSettings,
    ) -> None:
        self._shards = shards
        self._names = names
        self._passwords = passwords
        self._tokens = tokens
        self._relationships = relationships
        self._settings = settings

    def reserve_id(self, shard: int | None = None) -> int:
        """The id of an account to be: on the given shard (an Idempotency-Key's), else on any."""
        return self._shards.ids.draw(shard if shard is not None else secrets.randbelow(self._shards.count))[0]

    def prepare(self, user_id: int, *, username: str, password: str, email: str, full_name: str) -> dict[str, Any]:
        """Check the parameters, hash the password, claim the names: everything that comes before the account's
        transaction.

        Raises ``InvalidParameter``, or ``Conflict`` for a taken name; then nothing stays claimed.
        """
        username, email = checked_username(username), checked_email(email)
        full_name = checked_text("full_name", full_name, FULL_NAME_LIMIT)
        self._passwords.check_choice(
            password, field="password", context=(username, email, email.partition("@")[0], full_name, "photoapp")
        )
        # Before the names are claimed: it may be refused, and what is claimed last needs no giving up.
        password_hash = self._passwords.hash(password)
        username_claim_id = self._names.claim(USERNAME, username, holder_id=user_id)
        try:
            email_claim_id = self._names.claim(EMAIL, email, holder_id=user_id)
        except PhotoappError:
            self._names.give_up(username_claim_id, kind=USERNAME, name=username, holder_id=user_id)
            raise
        return {
            "id": user_id,
            "username": username,
            "full_name": full_name,
            "email": email,
            "password_hash": password_hash,
            "username_claim_id": username_claim_id,
            "email_claim_id": email_claim_id,
        }

    def create(self, writer: Writer, account: Mapping[str, Any]) -> None:
        """Write the account that ``prepare`` made ready."""
        self._names.name_back(writer, account["username_claim_id"], account["email_claim_id"])
        writer.execute(insert(User).values(**account))
        writer.moves(account_version(account["id"]))

    def log_in(self, name: str, password: str) -> int:
        """The account of a username or e-mail address and its password. Raises ``GrantInvalid``, the same for every
        mismatch.
        """
        user_id = self._names.holder(EMAIL if "@" in name else USERNAME, name)
        row = self._row(user_id) if user_id is not None else None
        good = self._passwords.verify(row.password_hash if row else None, password)
        if row is None or not good or row.state not in (AccountState.ACTIVE, AccountState.DELETED):
            raise GrantInvalid("The username or password is wrong.")
        return int(row.id)

    def log_in_effects(self, writer: Writer, user_id: int, *, password: str) -> None:
        """What a login changes on the account: a deleted one comes back, an outdated hash is renewed. Raises
        ``GrantInvalid``.
        """
        row = writer.execute(select(User.state, User.password_hash).where(User.id == user_id).with_for_update()).one()
        if row.state == AccountState.DELETED:
            self._set_state(writer, user_id, AccountState.ACTIVE, deleted_at=None)
        elif row.state != AccountState.ACTIVE:
            raise GrantInvalid("The username or password is wrong.")
        if self._passwords.outdated(row.password_hash):
            writer.execute(update(User).where(User.id == user_id).values(password_hash=self._passwords.hash(password)))

    def edit(self, writer: Writer, user_id: int, changes: Mapping[str, Any]) -> None:
        """Change the profile: any of username, full_name, bio, website, is_private, email. One transaction, all or
        nothing.

        A new username must have been claimed before (``claim_username``) and comes as ``username_claim_id`` beside it.
        An e-mail address is only noted: it counts once its mail link is followed.
        """
        before = writer.execute(select(User).where(User.id == user_id).with_for_update()).scalar_one()
        values = dict(changes)
        if "email" in values:
            values["pending_email"] = values.pop("email")
        if "username_claim_id" in values:
            self._names.name_back(writer, values["username_claim_id"])
        going_public = values.get("is_private") is False and before.is_private
        if going_public:
            self._relationships.approve_all(writer, followed_id=user_id)
        if "is_private" in values and values["is_private"] != before.is_private:
            writer.effects.strict = True
            writer.post("account.rekey", {"user_id": user_id}, queue="slow")
        if values:
            writer.execute(update(User).where(User.id == user_id).values(**values))
        self._changed(writer, user_id)

    def claim_username(self, user_id: int, username: str) -> dict[str, Any]:
        """Check and claim a new name, and hold the old one, before the transaction that changes it.

        The old name is held first and not by a job, so that nobody can take it in the moment when no row names it.
        Raises ``InvalidParameter``, ``Conflict``.
        """
        username = checked_username(username)
        row = self._row(user_id)
        if row.username == username:
            return {}
        claim_id = self._names.claim(USERNAME, username, holder_id=user_id)
        self.hold_username(row.username, claim_id=row.username_claim_id)
        return {"username": username, "username_claim_id": claim_id}

    def hold_username(self, username: str, *, claim_id: int) -> None:
        """Keep a username that its owner gives up from everyone else."""
        until = datetime.now(UTC) + timedelta(seconds=self._settings.name_hold_s)
        self._names.hold(USERNAME, username, claim_id=claim_id, until=until)

    def change_password(self, user_id: int, *, old_password: str, new_password: str) -> str:
        """Check the old one, hash the new one; the answer is for ``store_password``. Raises ``InvalidParameter``."""
        row = self._row(user_id)
        if not self._passwords.verify(row.password_hash if row else None, old_password) or row is None:
            raise InvalidParameter("old_password", "is wrong")
        self._passwords.check_choice(
            new_password, field="new_password", context=(row.username, row.email, row.full_name, "photoapp")
        )
        return self._passwords.hash(new_password)

    def store_password(self, writer: Writer, user_id: int, encoded: str, *, keep_token: str) -> None:
        """Set the hash; every token but the caller's own ends (SEC-19)."""
        writer.execute(update(User).where(User.id == user_id).values(password_hash=encoded))
        self._tokens.revoke_all(writer, user_id=user_id, but=keep_token)

    def check_password(self, user_id: int, password: str) -> None:
        """Raise ``InvalidParameter`` if it is not the account's."""
        row = self._row(user_id)
        if not self._passwords.verify(row.password_hash if row else None, password):
            raise InvalidParameter("password", "is wrong")

    def set_picture(self, writer: Writer, user_id: int, *, storage: str, key: str) -> None:
        """Point the account at a new picture; the old object is removed by a job."""
        before = writer.execute(select(User.picture).where(User.id == user_id).with_for_update()).scalar_one()
        writer.execute(update(User).where(User.id == user_id).values(picture={"storage": storage, "key": key}))
        if before:
            writer.post("objects.remove", {"keys": [before["key"]]}, queue="slow")
        self._changed(writer, user_id)

    def delete(self, writer: Writer, user_id: int) -> None:
        """Hide the account at once and end its tokens; the purge is due when it can no longer be undone."""
        now = datetime.now(UTC)
        writer.execute(select(User.id).where(User.id == user_id).with_for_update())
        self._set_state(writer, user_id, AccountState.DELETED, deleted_at=now)
        self._tokens.revoke_all(writer, user_id=user_id)
        due = now + timedelta(seconds=self._settings.undo_s)
        # The purge names the deletion that it belongs to: one that was undone, or followed by another, is none of its
        # business.
        writer.post("account.purge", {"user_id": user_id, "deleted_at": now.isoformat()}, queue="slow", due_at=due)

    def suspend(self, writer: Writer, user_id: int, *, suspended: bool) -> None:
        """Hide an account from everybody, or show it again. Raises ``NotAllowed`` for a deleted one."""
        state = writer.execute(select(User.state).where(User.id == user_id).with_for_update()).scalar_one()
        if state not in (AccountState.ACTIVE, AccountState.SUSPENDED):
            raise NotAllowed("the account is deleted")
        self._set_state(writer, user_id, AccountState.SUSPENDED if suspended else AccountState.ACTIVE)

    def _set_state(self, writer: Writer, user_id: int, state: AccountState, **values: Any) -> None:
        writer.effects.strict = True
        writer.execute(update(User).where(User.id == user_id).values(state=int(state), **values))
        self._changed(writer, user_id)

    @staticmethod
    def _changed(writer: Writer, user_id: int) -> None:
        name = account_version(user_id)
        writer.moves(name)
        writer.post("versions.move", {"names": [name]})

    def _row(self, user_id: int) -> Any:
        with self._shards.read(self._shards.of(user_id)) as connection:
            return connection.execute(
                select(
                    User.id,
                    User.username,
                    User.username_claim_id,
                    User.email,
                    User.full_name,
                    User.state,
                    User.password_hash,
                ).where(User.id == user_id)
            ).one_or_none()


def checked_username(username: str) -> str:
    """The name as stored. Raises ``InvalidParameter``."""
    lowered = username.lower()
    if not _USERNAME.fullmatch(lowered):
        raise InvalidParameter("username", "must be 1 to 30 characters of a-z, 0-9, dot and underscore")
    return lowered


def checked_email(email: str) -> str:
    """The address as stored. Raises ``InvalidParameter``. Only a mail link can prove more than its shape."""
    if len(email) > EMAIL_LIMIT or not _EMAIL.fullmatch(email):
        raise InvalidParameter("email", f"must be an e-mail address of at most {EMAIL_LIMIT} characters")
    return email


def checked_text(field: str, value: str, limit: int) -> str:
    """The text. Raises ``InvalidParameter`` over the limit, or for a NUL."""
    if len(value) > limit:
        raise InvalidParameter(field, f"must be at most {limit} characters long")
    if "\0" in value:
        raise InvalidParameter(field, "must not contain NUL")
    return value


def includeme(config: Configurator) -> None:
    """``registry.accounts`` and ``registry.relationships``."""
    registry = config.registry
    registry.relationships = RelationshipService(shards=registry.shards)
    registry.account_settings = settings_of(config, AccountSettings, "accounts")
    registry.accounts = AccountService(
        shards=registry.shards,
        names=registry.names,
        passwords=registry.passwords,
        tokens=registry.tokens,
        relationships=registry.relationships,
        settings=registry.account_settings,
    )

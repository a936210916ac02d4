"""What happens in the demo, through the same services that serve requests."""

from __future__ import annotations

import hashlib
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from photoapp.cli.cast import ALT_TEXTS, BIOS, COMMENTS, FILTERS, caption, person
from photoapp.cli.installation import Installation
from photoapp.cli.output import Failure, progress
from photoapp.cli.pictures import Picture, draw_picture
from photoapp.cli.users import create_user
from photoapp.errors import GrantInvalid
from photoapp.imaging.result import ProcessedImage
from photoapp.models import AccountState, Media, MediaState, User
from photoapp.services.names import USERNAME
from photoapp.services.photos import Details

PRIVATE_PERSON = 3
"""The number of the one whose account is private; ``demo`` asks to be let in."""
MAX_LIKES, MAX_COMMENTS = 9, 3


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the cast."""

    id: int
    username: str
    is_new: bool


class Stage:
    """One run. Equal seeds give equal plays."""

    def __init__(self, installation: Installation, *, seed: int) -> None:
        self._installation = installation
        self._registry: Any = installation.registry
        self._seed = seed
        self._dice = random.Random(seed)
        self.people: list[Person] = []

    def play(self, *, people: int, photos: int, password: str) -> None:
        """Everybody enters, follows and publishes; some like and comment."""
        with progress(people + photos, "Making the demo") as bar:
            for number in range(len(self.people), people):
                self.enter(number, password=password)
                bar.update(1)
            followers = self._follow()
            bar.update(1)
            missing = max(0, photos - self._published())
            bar.update(photos - missing)
            # Photos are numbered on, so that a run that adds some draws new ones.
            for number in range(photos - missing, photos):
                self._publish(number, followers)
                bar.update(1)

    def enter(self, number: int, *, password: str, known: bool = False) -> None:
        """The person of that number, made if there is none. ``known`` says that the password is right already.

        Raises ``Failure`` where somebody else has the name: nobody's password is touched but that of our own.
        """
        username, full_name = person(number)
        email = f"{username}@demo.example"
        user_id = self._registry.names.holder(USERNAME, username)
        if user_id is not None:
            self._require_ours(user_id, username, email)
            if not known:
                self._set_password(user_id, username, password)
        else:
            user_id = create_user(self._installation, username, email=email, full_name=full_name, password=password)
            self.people.append(Person(user_id, username, is_new=True))
            self._dress(user_id, number)
            return
        self.people.append(Person(user_id, username, is_new=False))

    def _require_ours(self, user_id: int, username: str, email: str) -> None:
        with self._registry.shards.read(self._registry.shards.of(user_id)) as connection:
            row = connection.execute(select(User.email, User.state).where(User.id == user_id)).one()
        if row.email != email:
            raise Failure(f"the username {username} is somebody's who is not of the demo; nothing was changed")
        if row.state != AccountState.ACTIVE:
            raise Failure(f"{username} is {AccountState(row.state).name.lower()}")

    def _set_password(self, user_id: int, username: str, password: str) -> None:
        try:
            self._registry.accounts.log_in(username, password)
        except GrantInvalid:
            pass
        else:
            return  # a new password would end the tokens of earlier runs
        encoded = self._registry.passwords.hash(password)
        with self._installation.late.write(self._registry.shards.of(user_id)) as writer:
            self._registry.accounts.store_password(writer, user_id, encoded, keep_token="")

    def _dress(self, user_id: int, number: int) -> None:
        """A profile; a picture for everyone but `demo`, who shows what an account without one looks like."""
        if number == 0:
            return
        image = self._processed(draw_picture(1000 * self._seed + number, "portrait"))
        key = self._registry.photos.store_picture(image)
        accounts, storage = self._registry.accounts, self._registry.tiers.storage
        with self._installation.late.write(self._registry.shards.of(user_id)) as writer:
            accounts.set_picture(writer, user_id, storage=storage.name, key=key)
            accounts.edit(writer, user_id, {"bio": self._dice.choice(BIOS)})

    def _follow(self) -> dict[int, list[Person]]:
        """Some follow some; the answer is who follows whom, by the followed. What stood before is left alone."""
        followers: dict[int, list[Person]] = {each.id: [] for each in self.people}
        for number, follower in enumerate(self.people):
            others = [each for each in self.people if each is not follower]
            wanted = len(others) if number == 0 else self._dice.randint(len(others) // 3, len(others))
            for followed in self._dice.sample(others, wanted):
                asks = number == 0 and followed is self._private()
                if not asks:
                    followers[followed.id].append(follower)
                    self._set_follow(follower, followed)
        private = self._private()
        if private is not None and private.is_new:
            with self._installation.late.write(self._registry.shards.of(private.id)) as writer:
                self._registry.accounts.edit(writer, private.id, {"is_private": True})
            self._set_follow(self.people[0], private)
        return followers

    def _private(self) -> Person | None:
        return self.people[PRIVATE_PERSON] if len(self.people) > PRIVATE_PERSON else None

    def _set_follow(self, follower: Person, followed: Person) -> None:
        if follower.is_new or followed.is_new:
            with self._installation.late.write(self._registry.shards.of(followed.id)) as writer:
                self._registry.relationships.follow(writer, follower_id=follower.id, followed_id=followed.id)

    def _published(self) -> int:
        """How many photos the cast has."""
        total = 0
        for shard, ids in self._registry.shards.by_shard([each.id for each in self.people]).items():
            with self._registry.shards.read(shard) as connection:
                live = (Media.owner_id.in_(ids), Media.state == MediaState.LIVE)
                total += connection.execute(select(func.count()).select_from(Media).where(*live)).scalar_one()
        return total

    def _publish(self, number: int, followers: dict[int, list[Person]]) -> None:
        registry, dice, write = self._registry, self._dice, self._installation.late.write
        owner = self.people[number % len(self.people)]
        is_private = registry.catalog.account(owner.id).is_private
        picture = draw_picture(1000 * self._seed + number)
        stored = registry.photos.store(
            picture.data,
            self._processed(picture),
            sha256=hashlib.sha256(picture.data).hexdigest(),
            is_private=is_private,
        )
        details = Details(
            caption=caption(dice, picture.scene), filter=dice.choice(FILTERS), alt_text=ALT_TEXTS[picture.scene]
        )
        shard = registry.shards.of(owner.id)
        with write(shard) as writer:
            media_id = registry.photos.publish(writer, owner_id=owner.id, stored=stored, details=details)
        fans = followers[owner.id]
        # In one transaction what people do one by one: fewer commits, and nobody sees the difference.
        with write(shard) as writer:
            for fan in dice.sample(fans, dice.randint(0, min(MAX_LIKES, len(fans)))):
                registry.reactions.set_like(writer, media_id=media_id, user_id=fan.id, active=True)
            for fan in dice.sample(fans, dice.randint(0, min(MAX_COMMENTS, len(fans)))):
                registry.reactions.comment(
                    writer, media_id=media_id, owner_id=owner.id, user_id=fan.id, text=dice.choice(COMMENTS)
                )

    def _processed(self, picture: Picture) -> ProcessedImage:
        with tempfile.TemporaryDirectory(prefix="photoapp-demo-") as folder:
            path = Path(folder, "picture")
            path.write_bytes(picture.data)
            image: ProcessedImage = self._registry.imaging.process(path)
        return image

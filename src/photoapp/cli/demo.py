"""``photoapp demo``: an installation with life in it, to look at and to try clients on."""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
import shlex
from pathlib import Path

import click

from photoapp.cli.installation import Installation, pass_installation, timeout_option
from photoapp.cli.output import json_option, print_json
from photoapp.cli.pictures import draw_picture
from photoapp.cli.stage import Stage
from photoapp.errors import PhotoappError
from photoapp.services.tokens import SCOPES


@dataclasses.dataclass(frozen=True, slots=True)
class Access:
    """What a client needs to begin."""

    base_url: str
    client_id: str
    client_secret: str
    username: str
    password: str
    access_token: str


@click.command()
@click.option(
    "--people", type=click.IntRange(1, 500), default=12, show_default=True, help="How many, `demo` among them."
)
@click.option("--photos", type=click.IntRange(0, 10_000), default=40, show_default=True, help="How many, all together.")
@click.option("--seed", type=int, default=1, show_default=True, help="Another number draws other photos.")
@click.option("--password", help="Of `demo` and the others. A random one, which is printed, if left out.")
@click.option("--minimal", is_flag=True, help="Only a client, the user `demo` and a token.")
@click.option(
    "--output", metavar="PATH", type=click.Path(dir_okay=False, path_type=Path),
    help="Write client, user and token to this file, readable only by you, and a photo beside it; if they are there and"
    " still good, keep them.",
)  # fmt: skip
@timeout_option
@json_option
@pass_installation
def demo(
    installation: Installation,
    *,
    people: int,
    photos: int,
    seed: int,
    password: str | None,
    minimal: bool,
    output: Path | None,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Fill the installation with people, follows, photos, likes and comments.

    Makes a trusted client and the user `demo` with a token, and prints them. The photos are drawn here: ridges,
    sunsets, forests, shores, no two alike. Run again, it adds only what is missing. Beside running servers
    everything arrives in feeds as if people had done it.
    """
    stage = Stage(installation, seed=seed)
    kept = kept_access(installation, output, password)
    chosen = kept.password if kept is not None else password or secrets.token_urlsafe(12)
    stage.enter(0, password=chosen, known=kept is not None)
    access = kept or new_access(installation, stage, chosen)
    if not minimal:
        stage.play(people=people, photos=photos, password=chosen)
    installation.late.wait(timeout_s=timeout_s)
    if output is not None:
        write_privately(output, json.dumps(dataclasses.asdict(access), indent=2) + "\n")
        output.with_suffix(".jpg").write_bytes(draw_picture(seed).data)
    if as_json:
        print_json(dataclasses.asdict(access))
    else:
        for name, value in dataclasses.asdict(access).items():
            click.echo(f"{name:14} {value}")
        if output is not None:
            click.echo(f"\nOnce the server runs, this publishes a photo:\n  {upload_command(access, output)}\n")


def upload_command(access: Access, output: Path) -> str:
    """A line to paste into a shell."""
    parts = [
        f"curl -H 'Authorization: Bearer {access.access_token}'",
        f"-F photo=@{shlex.quote(str(output.with_suffix('.jpg')))} -F caption='Hello, world #first'",
        f"{access.base_url}/v1/media",
    ]
    return " ".join(parts)


def kept_access(installation: Installation, output: Path | None, password: str | None) -> Access | None:
    """What the file of an earlier run says, if its client, user and token are still good; else None."""
    if output is None or not output.exists():
        return None
    registry = installation.registry
    try:
        access = Access(**json.loads(output.read_text(encoding="utf-8")))
        registry.clients.identify(access.client_id, access.client_secret)
        registry.accounts.log_in(access.username, access.password)
        registry.tokens.open(access.access_token, limit=1_000_000, window_s=60)
    except (OSError, ValueError, TypeError, PhotoappError):
        return None
    if password not in {None, access.password}:
        return None
    return dataclasses.replace(access, base_url=base_url(installation))


def new_access(installation: Installation, stage: Stage, password: str) -> Access:
    """A new trusted client, and a token of the user `demo` for it."""
    registry = installation.registry
    client_id, client_secret = registry.clients.create("demo", trusted=True)
    user = stage.people[0]
    with installation.late.write(registry.shards.of(user.id)) as writer:
        token = registry.tokens.issue(writer, user_id=user.id, client_id=client_id, scopes=frozenset(SCOPES))
    return Access(base_url(installation), client_id, client_secret, user.username, password, token)


def base_url(installation: Installation) -> str:
    """Scheme and host, without the slash."""
    url: str = installation.registry.web_settings.url
    return url.rstrip("/")


def write_privately(path: Path, text: str) -> None:
    """Replace the file as a whole; nobody else may read it at any moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    aside.replace(path)

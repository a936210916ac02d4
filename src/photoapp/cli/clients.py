"""``photoapp clients``: the applications that may call the API."""

from __future__ import annotations

import click

from photoapp.cli.installation import Installation, pass_installation
from photoapp.cli.output import examples, json_option, print_json, print_table


@click.group()
def clients() -> None:
    """Applications that may call the API: make one, list them."""


@clients.command(
    epilog=examples(
        'photoapp clients create "Our iPhone app" --trusted',
        "photoapp clients create printshop --redirect-uri https://printshop.example/back",
    )
)
@click.argument("name")
@click.option("--trusted", is_flag=True, help="One of your own apps: may sign people up and take their passwords.")
@click.option(
    "--redirect-uri",
    "redirect_uris",
    metavar="URI",
    multiple=True,
    help="Where people are sent back to, compared exactly; repeat it for several.",
)
@json_option
@pass_installation
def create(
    installation: Installation, *, name: str, redirect_uris: tuple[str, ...], trusted: bool, as_json: bool
) -> None:
    """Make a client called NAME and print its client_id and client_secret.

    The secret is shown this once: only its hash is stored.
    """
    for uri in redirect_uris:
        if "://" not in uri or "#" in uri:
            raise click.BadParameter(f"{uri} is not an absolute URI without a fragment", param_hint="--redirect-uri")
    client_id, client_secret = installation.registry.clients.create(name, trusted=trusted, redirect_uris=redirect_uris)
    made = {"client_id": client_id, "client_secret": client_secret, "name": name, "trusted": trusted}
    if as_json:
        print_json(made)
        return
    for key, value in made.items():
        click.echo(f"{key:14} {str(value).lower() if isinstance(value, bool) else value}")


@clients.command("list")
@json_option
@pass_installation
def list_clients(installation: Installation, *, as_json: bool) -> None:
    """List every client, oldest first; never a secret."""
    rows = installation.registry.clients.list()
    if as_json:
        for row in rows:
            print_json(row)
        return
    print_table(
        ["client_id", "name", "trusted", "created", "revoked"],
        [
            [
                row["client_id"], row["name"], "yes" if row["trusted"] else "no", f"{row['created_at']:%Y-%m-%d %H:%M}",
                f"{row['revoked_at']:%Y-%m-%d %H:%M}" if row["revoked_at"] else "",
            ]
            for row in rows
        ],
    )  # fmt: skip

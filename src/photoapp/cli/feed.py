import click
@click.command()
def feed() -> None:
    """x"""

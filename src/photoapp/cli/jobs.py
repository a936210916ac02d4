import click
@click.command()
def jobs() -> None:
    """x"""

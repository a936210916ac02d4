"""``python -m photoapp.cli``."""

from __future__ import annotations

from photoapp.cli import main

if __name__ == "__main__":
    main(prog_name="photoapp")

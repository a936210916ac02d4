"""Start of the child, as ``python -I -B .../imaging/child <limits as JSON>``.

A folder run as a script is no package, so relative imports would fail; and to import it as
``photoapp.imaging.child`` would import the whole server. It therefore imports itself under its own short
name. The folder above is on the path just long enough for that: its modules must not stand in front of
anybody's of the same name.
"""

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    importlib.import_module("child")
    del sys.path[0]
    importlib.import_module("child.serve").main(sys.argv[1])

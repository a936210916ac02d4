"""``make stack``: the production shape on one machine, loopback only, with its data under one folder.

    python etc/stack start [--var var] [--port 6600]     starts what does not run, and makes the installation
    python etc/stack stop [--var var]                    stops everything, by pid
    python etc/stack status [--var var]
    python etc/stack stop redis-feeds                    one of them, to see what happens; start brings it back

Engines are run with the files under etc/, and ``etc/production.ini`` is run as it stands: what differs here, addresses
and secrets, is in VAR/stack/env, for any shell too (``set -a; . var/stack/env``).
"""

import argparse
import sys
from pathlib import Path

from engines import Stack
from service import StackError


def main() -> None:
    parser = argparse.ArgumentParser(prog="stack", description="The production shape on one machine.")
    parser.add_argument("command", choices=("start", "stop", "status"))
    parser.add_argument("names", nargs="*", help="only these")
    parser.add_argument("--var", type=Path, default=Path("var"), help="where data, logs and secrets go")
    parser.add_argument("--port", type=int, default=6600, help="of the server; the engines take the ten after it")
    parser.add_argument("--workers", type=int, default=2, help="per queue")
    parser.add_argument("--processes", type=int, default=2, help="of the server")
    options = parser.parse_intermixed_args()
    stack = Stack(options.var.absolute(), port=options.port, workers=options.workers, processes=options.processes)
    try:
        if options.command == "start":
            stack.start(options.names)
        elif options.command == "stop":
            stack.stop(options.names)
        else:
            stack.print_status()
    except StackError as error:
        sys.exit(f"stack: {error}")
    except KeyboardInterrupt:
        sys.exit("stack: interrupted; what runs by now goes on, make stack-stop ends it")


if __name__ == "__main__":
    main()

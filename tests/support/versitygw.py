"""A real S3, versitygw as ``make services`` builds it: own port, own folder, started and stopped by pid."""

import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import NoReturn

import boto3
import pytest
from botocore.config import Config

from photoapp.tiers.storage.s3 import S3Storage, S3StorageSettings
from support.require import unavailable
from support.server import free_port
from support.wait import wait_until

VERSION = "v1.8.0"
BINARY = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", f"photoapp/bin/versitygw-{VERSION}")
REGION = "us-east-1"


class VersitygwMissingError(Exception):
    """``make services`` has not built it."""


class Versitygw:
    """One server with one bucket, ``photos``, which the user ``app`` owns; a test keeps to a prefix of its own."""

    def __init__(self) -> None:
        if not BINARY.exists():
            raise VersitygwMissingError(f"there is no {BINARY.name}; make services builds it, given Go 1.25 or newer")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = Path(tempfile.mkdtemp(prefix="photoapp-versitygw-"))
        for name in ("iam", "versions", "objects"):
            (self.folder / name).mkdir()
        self.root, self.app = (("root", secrets.token_hex(20)), ("app", secrets.token_hex(20)))
        self.process: subprocess.Popen[bytes] | None = None
        self.start()
        self._admin("create-user", "--access", self.app[0], "--secret", self.app[1], "--role", "user")
        self._admin("create-bucket", "--owner", self.app[0], "--bucket", "photos")

    def start(self) -> None:
        """Start the server, on the same port as before, and wait until it answers."""
        command = [str(BINARY), "--port", f"127.0.0.1:{self.port}", "--region", REGION, "--quiet"]
        command += ["--iam-dir", str(self.folder / "iam"), "--health", "/healthz"]
        command += ["posix", "--versioning-dir", str(self.folder / "versions"), str(self.folder / "objects")]
        if setpriv := shutil.which("setpriv"):  # on Linux: a test run that is killed takes its server along
            command = [setpriv, "--pdeathsig", "KILL", *command]
        keys = {"ROOT_ACCESS_KEY_ID": self.root[0], "ROOT_SECRET_ACCESS_KEY": self.root[1]}
        with self._log.open("ab") as log:
            environ = {**os.environ, **keys, "GOMEMLIMIT": "150MiB"}
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, env=environ)
        wait_until(self._answers, within_s=30, what=f"versitygw ({self._log})")

    def stop(self) -> None:
        """End it at once: asked kindly it waits 10 s for connections that clients keep open."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait(30)

    def signal(self, what: signal.Signals) -> None:
        """Send a signal: SIGSTOP freezes it, SIGCONT lets it go on."""
        assert self.process is not None
        self.process.send_signal(what)

    def remove(self) -> None:
        """Stop, and leave nothing behind."""
        self.stop()
        shutil.rmtree(self.folder)

    def settings(self, **changes: object) -> S3StorageSettings:
        """The tier's settings, in a prefix that nobody else uses."""
        told = {"bucket": "photos", "endpoint_url": self.url, "region": REGION, "prefix": f"t{secrets.token_hex(8)}"}
        told |= {"access_key": self.app[0], "secret_key": self.app[1], "budget_s": 120.0, "read_timeout_s": 30.0}
        return S3StorageSettings(**{**told, **changes})  # type: ignore[arg-type]

    def file(self, tier: S3Storage, key: str) -> Path:
        """Where the server keeps the bytes of an object."""
        return self.folder / "objects" / "photos" / tier.settings.prefix / key

    def client(self):
        """A plain boto3 client with the application's rights."""
        session = boto3.session.Session(*self.app, region_name=REGION)
        config = Config(signature_version="s3v4", s3={"addressing_style": "path"})
        return session.client("s3", endpoint_url=self.url, config=config)

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    def _answers(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            raise RuntimeError(f"versitygw ended: {self._log.read_text()}")
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def _admin(self, *arguments: str) -> None:
        who = {"ADMIN_ACCESS_KEY_ID": self.root[0], "ADMIN_SECRET_ACCESS_KEY": self.root[1]}
        environ = {**os.environ, **who, "ADMIN_ENDPOINT_URL": self.url}
        done = subprocess.run(
            [BINARY, "admin", *arguments], env=environ, capture_output=True, text=True, check=False, timeout=30
        )
        if done.returncode:
            raise RuntimeError(f"versitygw admin {arguments[0]}: {done.stdout}{done.stderr}")


def s3_unavailable(reason: str) -> NoReturn:
    """As ``unavailable``, but ``all`` does not ask for what cannot be built where Go is missing or old (SERVICES.md)."""
    named = "s3" in os.environ.get("PHOTOAPP_TEST_REQUIRE", "").replace(",", " ").split()
    if not named and not _go_is_there():
        pytest.skip(f"s3 is absent, and no Go is here to build it: {reason}")
    unavailable("s3", reason)


def _go_is_there() -> bool:
    go = shutil.which("go", path=f"{os.environ.get('PATH', os.defpath)}:/usr/local/go/bin")
    if go is None:
        return False
    told = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False, timeout=60).stdout
    found = re.match(r"go1\.(\d+)", told)
    return found is not None and int(found[1]) >= 25

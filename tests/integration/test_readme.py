"""What the README promises, as a stranger does it: a clean clone, a fresh virtual environment, ``make serve``, the walk."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

import samples
from support.server import free_port
from support.shards import ROOT
from support.wait import wait_until

pytestmark = pytest.mark.xdist_group("readme")

INSTALL_S = 300
"""Of a package index, which may be slow; the README's 90 seconds are printed, not asserted."""


class Served:
    """``make serve`` in a clean clone."""

    def __init__(self, folder: Path) -> None:
        self.clone, self.var, self.port = folder / "clone", folder / "data", free_port()
        subprocess.run(["git", "clone", "-q", str(ROOT), str(self.clone)], check=True)
        self.started_at = time.monotonic()
        keep = {
            name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH", "MAKEFLAGS"}
        }
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["make", "serve", f"PORT={self.port}", f"VAR={self.var}"],
                cwd=self.clone,
                env=keep,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self.is_ready, within_s=INSTALL_S, what=f"make serve ({self.log})")

    def is_ready(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"make serve ended:\n{self.log.read_text()}")
        try:
            ready = requests.get(f"http://127.0.0.1:{self.port}/readyz", timeout=5).status_code == 200
        except requests.ConnectionError:
            return False
        return ready and (self.var / "demo.json").exists()

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(30)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("stranger"))
    yield served
    served.stop()


def test_the_walk_of_the_readme_ends_with_a_like_in_a_followers_feed(served: Served):
    block = re.search(r"<!-- walk:.*?-->\n```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block is not None
    walk = (
        block[1].replace("http://127.0.0.1:6543", f"http://127.0.0.1:{served.port}").replace("var/", f"{served.var}/")
    )
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", walk], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    likes = done.stdout.strip().splitlines()[-1]
    assert "'count': 1" in likes
    assert "'username': 'ben'" in likes


def test_a_photo_is_published_with_what_make_serve_printed(served: Served):
    """The paste-ready command, as it stands."""
    command = next(line for line in served.log.read_text().splitlines() if line.strip().startswith("curl"))
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=60, cwd=served.clone, check=False
    )
    assert json.loads(done.stdout)["meta"]["code"] == 200, done.stdout + done.stderr
    print(f"from clone to first photo: {time.monotonic() - served.started_at:.0f} s")


def test_demo_json_is_all_that_a_script_needs(served: Served):
    demo = json.loads((served.var / "demo.json").read_text())
    assert set(demo) >= {"base_url", "client_id", "client_secret", "username", "password", "access_token"}
    url = f"{demo['base_url']}/v1/media"
    answer = requests.post(
        url,
        headers={"Authorization": f"Bearer {demo['access_token']}"},
        files={"photo": samples.jpeg(320, 240)},
        timeout=30,
    )
    assert answer.json()["data"]["user"]["username"] == demo["username"]
    form = {name: demo[name] for name in ("client_id", "client_secret", "username", "password")}
    token = requests.post(f"{demo['base_url']}/oauth/access_token", data={"grant_type": "password", **form}, timeout=30)
    assert token.json()["user"]["username"] == demo["username"]

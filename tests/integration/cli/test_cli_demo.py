"""``demo``: an installation with life in it, made as people would have made it."""

import io
import json
import stat
from pathlib import Path
from typing import Any

import pytest
import requests
from cli_world import lines
from PIL import Image

from photoapp.cli.pictures import SCENES, draw_picture
from support.people import PASSWORD, App, Person
from support.server import Server


def person_of(server: Server, access: dict[str, Any]) -> Person:
    """The user ``demo``, through the client that was made for it."""
    app = App(server, access["client_id"], access["client_secret"])
    user_id = access["access_token"].partition(".")[0]
    return Person(app, user_id, access["username"], access["access_token"])


def test_a_demo_beside_a_running_server_is_there_for_its_clients_at_once(tmp_path: Path):
    server = Server(tmp_path / "var").start()
    try:
        output = tmp_path / "out" / "demo.json"
        made = server.photoapp("demo", "--people", "6", "--photos", "8", "--json", "--output", str(output))
        (access,) = lines(made.stdout)
        assert json.loads(output.read_text()) == access
        assert stat.S_IMODE(output.stat().st_mode) == 0o600
        assert access["base_url"] == server.url

        demo = person_of(server, access)
        assert demo.app.log_in("demo", access["password"]).id == demo.id
        feed = demo.get("/users/self/feed", count=20)
        assert len(feed) >= 6
        assert len({media["user"]["username"] for media in feed}) >= 4
        assert any(media["tags"] for media in feed)
        pictures = [requests.get(media["images"]["standard_resolution"]["url"], timeout=10).content for media in feed]
        assert len(set(pictures)) == len(feed), "no two photos are alike"
        assert all(Image.open(io.BytesIO(picture)).format == "JPEG" for picture in pictures)
        assert demo.get("/users/self")["counts"]["follows"] == 4, "the private one was only asked"

        # Again: nothing is added, what was printed stays good, and more can be asked for.
        server.photoapp("demo", "--people", "6", "--photos", "8", "--output", str(output))
        assert json.loads(output.read_text()) == access
        assert [media["id"] for media in demo.get("/users/self/feed", count=20)] == [media["id"] for media in feed]
        server.photoapp("demo", "--people", "6", "--photos", "9", "--output", str(output))
        assert server.photoapp("verify").stdout == "no differences\n"
        users = lines(server.photoapp("users", "list", "--json").stdout)
        assert sum(user["media_count"] for user in users) == 9
    finally:
        server.stop()


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_minimal_demo_is_a_client_a_user_and_a_token(installation: Server, tmp_path: Path):
    output = tmp_path / "demo.json"
    installation.photoapp("demo", "--minimal", "--output", str(output))
    access = json.loads(output.read_text())
    (user,) = lines(installation.photoapp("users", "list", "--json").stdout)
    assert (user["username"], user["media_count"]) == ("demo", 0)
    installation.photoapp("demo", "--minimal", "--output", str(output))
    assert json.loads(output.read_text()) == access
    assert len(lines(installation.photoapp("clients", "list", "--json").stdout)) == 1

    # A file that is not good any more is replaced.
    output.write_text(json.dumps(access | {"access_token": "1.1234567." + "0" * 64}))
    installation.photoapp("demo", "--minimal", "--output", str(output), "--password", "another good one")
    renewed = json.loads(output.read_text())
    assert renewed["password"] == "another good one"
    assert renewed["access_token"] != access["access_token"]


@pytest.mark.parametrize("engine", ["sqlite"])
def test_somebodys_account_is_never_taken_for_the_demo(installation: Server):
    installation.photoapp("users", "create", "demo", "--email", "real@mail.example", "--password", PASSWORD)
    refused = installation.photoapp("demo", "--minimal", check=False)
    assert refused.returncode == 1
    assert "the username demo is somebody's who is not of the demo" in refused.stderr
    assert installation.photoapp("clients", "list", "--json").stdout == ""


@pytest.mark.parametrize("scene", SCENES)
def test_every_scene_is_drawn_alike_from_one_seed_and_differently_from_another(scene: str):
    one = draw_picture(1, scene)
    assert draw_picture(1, scene).data == one.data
    assert draw_picture(2, scene).data != one.data
    image = Image.open(io.BytesIO(one.data))
    assert min(image.size) >= 850
    colours = image.resize((64, 64)).getcolors(64 * 64)
    assert colours is not None
    assert len(colours) > 200, "a photo has many colours"

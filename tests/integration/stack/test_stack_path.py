"""The path from sign-up to a follower's feed on the production shape, and what an operator sees of it."""

import json
import re
import subprocess
import sys

import psutil
import requests

from support.shards import ROOT
from support.stack import ENGINES, WORKERS
from support.wait import wait_until


def test_a_photo_goes_from_its_upload_to_a_followers_feed_and_is_fetched_from_the_s3(stack, app):
    ana, ben = app.sign_up(), app.sign_up()
    ben.relate(ana, "follow")
    assert ben.feed_ids() == []  # from now on there is a list that the workers push to
    media = ana.upload(caption="Hello, world #first")
    ben.sees_in_feed(media["id"], within_s=30)
    (shown,) = ben.get("/users/self/feed")
    picture = requests.get(shown["images"]["standard_resolution"]["url"], timeout=10)
    assert picture.status_code == 200
    assert picture.headers["Content-Type"] == "image/jpeg"
    assert f":{stack.port('s3')}/" in picture.url
    ben.post(f"/media/{media['id']}/likes")
    assert ben.get(f"/media/{media['id']}")["likes"]["count"] == 1
    ana.delete(f"/media/{media['id']}")
    assert ben.feed_ids() == []


def test_a_private_photo_has_a_url_that_only_its_signature_opens(stack, app):
    ana = app.sign_up()
    ana.put("/users/self", is_private="true")
    url = ana.upload()["images"]["thumbnail"]["url"]
    assert requests.get(url, timeout=10).status_code == 200
    assert requests.get(url.partition("?")[0], timeout=10).status_code == 403


def test_check_is_clean_and_statusz_knows_every_engine(stack):
    lines = stack.photoapp("check").stdout.splitlines()
    assert len(lines) > 10
    assert [line for line in lines if not line.startswith("ok")] == []
    status = stack.status()
    uses = {kind: tier["use"] for kind, tier in status["tiers"].items()}
    assert uses == {"storage": "s3", "feed": "redis", "session": "redis", "cache": "memcached", "queue": "rq"}
    assert all(tier["up"] for tier in status["tiers"].values())
    assert {name: database["up"] for name, database in status["databases"].items()} == {"one": True, "two": True}


def test_statusz_and_metrics_do_not_exist_for_others(stack):
    for path in ("/statusz", "/metrics"):
        assert requests.get(stack.url + path, timeout=10).status_code == 404


def counted(stack, route):
    text = requests.get(f"{stack.url}/metrics", headers=stack.operator, timeout=10).text
    found = re.findall(rf'^photoapp_request_seconds_count{{.*route="{route}".*}} ([\d.]+)$', text, re.MULTILINE)
    return sum(map(float, found))


def test_whichever_process_is_asked_for_metrics_answers_for_all(stack):
    before = counted(stack, "healthz")
    for _ in range(40):
        requests.get(f"{stack.url}/healthz", timeout=10)  # each on a connection of its own, so any process may take it
    assert {counted(stack, "healthz") for _ in range(8)} == {before + 40}


def test_a_second_start_starts_nothing_and_keeps_the_access(stack):
    names = (*ENGINES, *WORKERS, "server")
    before, access = [stack.pid(name) for name in names], stack.access
    stack.start()
    assert [stack.pid(name) for name in names] == before
    assert stack.access == access


def test_the_next_start_brings_back_what_was_stopped(stack, app):
    stack.stop("memcached-2", "workers-slow", "server")
    stack.kill("redis-feeds")
    stack.start()
    ana = app.sign_up()
    assert ana.upload()["id"] in ana.feed_ids()


def test_a_gunicorn_process_that_is_killed_is_replaced_and_nobody_notices_for_long(stack, app):
    ana = app.sign_up()
    victim, *_ = psutil.Process(stack.pid("server")).children()
    victim.kill()

    def answered():
        try:
            return ana.call("GET", "/users/self").status_code == 200
        except requests.ConnectionError:  # of a connection that the victim had
            return False

    wait_until(answered, what="an answer")
    wait_until(lambda: len(psutil.Process(stack.pid("server")).children()) == 2, what="two processes")


def test_nothing_starts_without_the_secrets_and_one_line_says_what_is_missing(stack):
    """SEC-67, SEC-69."""
    names = "SHARDS_PASSWORD|STORAGE_(ACCESS|SECRET)_KEY|INSTANCES|QUEUE_URL|OPS_TOKEN"
    bare = {key: value for key, value in stack.env.items() if not re.search(names, key)}
    gunicorn = [
        "gunicorn",
        "--paste",
        str(stack.ini),
        "-c",
        str(ROOT / "etc/gunicorn/gunicorn.conf.py"),
        "--bind",
        "127.0.0.1:0",
    ]
    worker = ["rq.cli", "worker", "fast", "-w", "photoapp.jobs.rq_worker.Worker", "-S", "json"]
    for command in (["photoapp.cli", "-c", str(stack.ini), "users", "list"], gunicorn, worker):
        asked = [sys.executable, "-W", "ignore", "-m", *command]
        done = subprocess.run(asked, env=bare, capture_output=True, text=True, check=False, cwd=ROOT, timeout=60)
        assert done.returncode != 0
        assert "Traceback" not in done.stderr
        (line,) = {line for line in done.stderr.splitlines() if line.startswith("photoapp: ")}
        assert (
            line
            == "photoapp: tier.storage: signed_url = presigned needs access_key and secret_key: a role's keys change by the hour"
        )


def test_the_access_file_is_like_the_laptops(stack):
    assert sorted(json.loads((stack.var / "stack.json").read_text())) == [
        "access_token", "base_url", "client_id", "client_secret", "password", "username",
    ]  # fmt: skip
    assert (stack.var / "stack.json").stat().st_mode & 0o777 == 0o600

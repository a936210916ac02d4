"""``init`` and ``check``, which work on what is empty or wrong."""

from pathlib import Path

import pytest
from cli_world import lines

from photoapp.sharding.schema import HEAD
from photoapp.tiers.storage import StorageTier
from support.server import Server


def test_init_makes_an_installation_from_nothing_and_repeats_without_changing_it(tmp_path: Path):
    # As in production: the server itself makes nothing.
    fresh = Server(tmp_path / "var", {"shards.create": "false"})
    before = fresh.photoapp("check", check=False)
    assert before.returncode == 1
    assert "has no tables" in before.stdout
    assert not (fresh.folder / "shards").exists(), "check makes nothing"

    first = lines(fresh.photoapp("init", "--json").stdout)
    assert first == lines(fresh.photoapp("init", "--json").stdout)
    assert first[0].items() >= {"shards": 4, "databases": 4, "schema": HEAD}.items()

    after = fresh.photoapp("check")
    assert "WRONG" not in after.stdout
    assert fresh.photoapp("users", "list").stdout.count("\n") == 1


def test_check_tries_every_part_and_leaves_nothing_behind(installation: Server, storage: StorageTier):
    findings = lines(installation.photoapp("check", "--json").stdout)
    assert all(finding["ok"] for finding in findings)
    assert [finding["name"] for finding in findings] >= ["settings", "storage", "feed", "session", "cache", "queue"]
    assert {"imaging", "databases", "schema", "writing", "application"} <= {finding["name"] for finding in findings}
    assert list(storage.list()) == []


@pytest.mark.parametrize("engine", ["sqlite"])
def test_check_says_in_words_what_is_wrong_and_where_to_look(installation: Server, tmp_path: Path):
    (tmp_path / "a file").write_text("in the way")
    installation.settings |= {
        "tier.storage.folder": str(tmp_path / "a file" / "storage"),
        "tier.cache.use": "memroy",
        "shards.count": "8",
    }
    installation.write_ini()
    done = installation.photoapp("check", "--json", check=False)
    assert done.returncode == 1
    wrong = {finding["name"]: finding for finding in lines(done.stdout) if not finding["ok"]}
    assert set(wrong) == {"storage", "cache", "schema"}
    assert "NotADirectoryError" in wrong["storage"]["said"]
    assert "tier.storage.folder" in wrong["storage"]["look_at"]
    assert "did you mean memory?" in wrong["cache"]["said"]
    assert done.stderr == "photoapp: 3 of the checks failed\n"


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_database_that_is_away_is_named_by_init_and_by_check(installation: Server):
    nobody = "one postgresql+psycopg://photoapp:hush-hush@127.0.0.1:9/photoapp"
    installation.settings |= {"shards.databases": nobody}
    installation.write_ini()
    made = installation.photoapp("init", check=False)
    assert made.returncode == 1
    assert "database one cannot be reached" in made.stderr
    checked = installation.photoapp("check", check=False)
    assert checked.returncode == 1
    assert "no answer from one" in checked.stdout
    assert "shards.databases" in checked.stdout
    assert "hush-hush" not in made.stderr + checked.stdout + checked.stderr

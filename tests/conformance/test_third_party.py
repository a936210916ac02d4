"""A stranger's package brings a tier with one entry point: installed for real, chosen by name, held to the
suite.
"""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

STRANGER = Path(__file__).parents[1] / "third_party" / "photoapp-sqlite-storage"


def python(*arguments, path=(), cwd=None):
    """What a Python process prints; its import path begins with ``path``."""
    search = os.pathsep.join([*map(str, path), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": search, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder that holds the stranger's module and its metadata, as setuptools writes them. Needs no
    network.

    Not by pip, which would want the package ``wheel`` beside the setuptools that Python 3.11 comes with.
    """
    source, target = tmp_path_factory.mktemp("source") / "stranger", tmp_path_factory.mktemp("site")
    shutil.copytree(STRANGER, source)
    build = ("build_py", "--build-lib", target, "egg_info", "--egg-base", target)
    python("-W", "ignore", "-c", "from setuptools import setup; setup()", *build, cwd=source)
    return target


def test_the_stranger_is_chosen_by_name_and_stores_photos(installed, tmp_path):
    code = """
        import sys
        from photoapp.tiers.registry import build_tier, discover

        tier = build_tier("storage", {
            "tier.storage.use": "sqlite",
            "tier.storage.file": sys.argv[1],
            "tier.storage.signing_key": "not a secret, a test",
        })
        tier.put("public/a", b"photo", content_type="image/jpeg")
        print(sorted(discover("storage")), type(tier).__module__, tier.get("public/a"))
    """
    told = python("-c", textwrap.dedent(code), tmp_path / "photos.sqlite", path=[installed])
    assert told == "['local', 's3', 'sqlite'] photoapp_sqlite_storage b'photo'\n"
    assert (tmp_path / "photos.sqlite").exists()


def test_a_mistake_in_the_strangers_settings_is_told_like_one_in_ours(installed):
    code = """
        from photoapp.errors import ConfigurationError
        from photoapp.tiers.registry import build_tier

        try:
            build_tier("storage", {"tier.storage.use": "sqlite", "tier.storage.fiel": "x"})
        except ConfigurationError as error:
            print(error)
    """
    told = python("-c", textwrap.dedent(code), path=[installed])
    assert told == "unknown setting tier.storage.fiel; did you mean tier.storage.file?\n"


def test_the_stranger_passes_the_suite_that_ships_with_the_package(installed, tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    shutil.copy(STRANGER / "conformance.py", tmp_path)
    options = (
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        tmp_path / "pytest.ini",
        "--basetemp",
        tmp_path / "temporary",
    )
    told = python("-m", "pytest", *options, "conformance.py", path=[installed], cwd=tmp_path)
    passed = re.search(r"(\d+) passed", told)
    assert passed, told
    assert int(passed[1]) >= 30
    assert "skipped" not in told

"""The local storage against the storage contract, and what is its own."""

import errno
import io
import os
import resource
import time
from pathlib import Path

import pytest
from PIL import Image

from photoapp.errors import TierUnavailable
from photoapp.tiers.storage.local import LocalStorage, LocalStorageSettings
from photoapp.tiers.testing.storage import StorageSuite

SIGNING_KEY = "not a secret, a test"


class TestLocalStorage(StorageSuite):
    has_engine = True
    serves_itself = True

    @pytest.fixture
    def tier(self, tmp_path):
        return LocalStorage(LocalStorageSettings(tmp_path / "storage", SIGNING_KEY))

    @pytest.fixture
    def away(self, tmp_path):
        (tmp_path / "file").touch()
        return LocalStorage(LocalStorageSettings(tmp_path / "file" / "storage", SIGNING_KEY))


@pytest.fixture
def tier(tmp_path):
    return LocalStorage(LocalStorageSettings(tmp_path / "storage", SIGNING_KEY))


def files(tier):
    return sorted(path.name for path in tier.settings.folder.rglob("*") if path.is_file())


def test_a_put_that_fails_half_way_leaves_what_stood_there_and_nothing_else(tier):
    tier.put("public/a", b"old", content_type="image/png")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # what a full disk does, for this process
    try:
        with pytest.raises(TierUnavailable):
            tier.put("public/a", b"x" * 1_000_000, content_type="image/jpeg")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tier.get("public/a"), tier.stat("public/a").content_type) == (b"old", "image/png")
    assert files(tier) == ["a"]


def test_what_a_dead_process_left_of_its_writing_is_removed_after_an_hour(tier):
    aside = tier.settings.folder / ".incoming"
    aside.mkdir(parents=True)
    for name, age_s in (("old", 4000), ("young", 100)):
        (aside / name).write_bytes(b"half a pho")
        os.utime(aside / name, (time.time() - age_s,) * 2)
    tier.put("public/a", b"1", content_type="image/png")
    assert files(tier) == ["a", "young"]
    assert [each.key for each in tier.list()] == ["public/a"]


def test_an_object_that_was_cut_short_is_an_outage_and_never_a_shorter_object(tier):
    tier.put("public/a", b"x" * 1000, content_type="image/png")
    os.truncate(tier.settings.folder / "public+" / "a", 500)
    for call in (tier.get, tier.stat):
        with pytest.raises(TierUnavailable):
            call("public/a")


def test_a_delete_takes_the_empty_folders_with_it(tier):
    for key in ("public/a/b/c", "public/d"):
        tier.put(key, b"1", content_type="image/png")
    tier.delete("public/a/b/c")
    assert [path.name for path in (tier.settings.folder / "public+").iterdir()] == ["d"]
    tier.delete("public/d")
    assert [path.name for path in tier.settings.folder.iterdir()] == [".incoming"]


def test_any_viewer_opens_the_files(tier):
    for kind in ("JPEG", "PNG", "WEBP"):
        picture = io.BytesIO()
        Image.new("RGB", (64, 48), "teal").save(picture, kind)
        tier.put("public/Ab", picture.getvalue(), content_type=f"image/{kind.lower()}")
        with Image.open(tier.settings.folder / "public+" / "=ab") as opened:
            opened.load()
            assert (opened.format, opened.size) == (kind, (64, 48))


def test_a_copy_needs_no_links(tier, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "as exFAT says")

    tier.put("public/a", b"1", content_type="image/png")
    monkeypatch.setattr(Path, "hardlink_to", refuse)
    tier.copy("public/a", "public/b")
    assert (tier.get("public/b"), tier.stat("public/b").content_type) == (b"1", "image/png")


def test_a_key_too_short_to_sign_with_is_refused(tmp_path):
    with pytest.raises(ValueError, match="16 characters"):
        LocalStorageSettings(tmp_path, "short")

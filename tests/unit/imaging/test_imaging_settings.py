from __future__ import annotations

from types import SimpleNamespace

import pytest

from photoapp import imaging
from photoapp.errors import ConfigurationError
from photoapp.imaging.settings import ImagingSettings, read_settings


def test_without_keys_the_defaults_of_the_api_hold():
    settings = read_settings({"tier.storage.use": "local"})
    assert settings == ImagingSettings()
    assert (settings.max_bytes, settings.max_pixels, settings.max_side) == (20 << 20, 50_000_000, 16384)
    assert len(settings.content_types) == 5


def test_keys_are_read_with_their_types():
    settings = read_settings(
        {
            "imaging.processes": " 3 ",
            "imaging.wall_s": "2.5",
            "imaging.heif": "no",
            "imaging.formats": "png, heic",
        }
    )
    assert (settings.processes, settings.wall_s, settings.heif) == (3, 2.5, False)
    assert settings.content_types == {"image/png"}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("imaging.procesess", "1", "did you mean imaging.processes"),
        ("imaging.zzz", "1", "known: cpu_s"),
        ("imaging.processes", "0", "at least 1"),
        ("imaging.processes", "many", "not a whole number"),
        ("imaging.wall_s", "0", "between"),
        ("imaging.wall_s", "nan", "not a number"),
        ("imaging.memory_bytes", "1000", "at least 67108864"),
        ("imaging.heif", "perhaps", "true or false"),
        ("imaging.formats", "jpeg gif", "there is no gif"),
        ("imaging.formats", "jpg", "did you mean jpeg"),
        ("imaging.formats", " ", "empty"),
    ],
)
def test_a_wrong_key_is_refused_with_what_to_change(key: str, value: str, message: str):
    with pytest.raises(ConfigurationError, match=message):
        read_settings({key: value})


def test_including_it_builds_a_pool_and_spawns_nothing():
    config = SimpleNamespace(registry=SimpleNamespace(settings={"imaging.processes": "2"}))
    imaging.includeme(config)
    assert config.registry.imaging.settings.processes == 2
    assert config.registry.imaging.pids() == []

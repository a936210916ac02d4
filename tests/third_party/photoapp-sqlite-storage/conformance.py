"""photoapp's own suite against this plugin; run with ``pytest conformance.py`` after ``pip install .``."""

import pytest
from photoapp_sqlite_storage import SqliteStorage, SqliteStorageSettings

from photoapp.tiers.testing.storage import StorageSuite


class TestSqliteStorage(StorageSuite):
    has_engine = True
    serves_itself = True

    @pytest.fixture
    def tier(self, tmp_path):
        return SqliteStorage(SqliteStorageSettings(tmp_path / "photos.sqlite", "not a secret, a test"))

    @pytest.fixture
    def away(self, tmp_path):
        (tmp_path / "file").touch()
        return SqliteStorage(SqliteStorageSettings(tmp_path / "file" / "photos.sqlite", "not a secret, a test"))

"""The conformance suites: the contracts' docstrings as tests, for our plugins and for a stranger's.

A plugin's own test module subclasses the suite of its kind and brings two fixtures::

    class TestZipStorage(StorageSuite):
        has_engine = True

        @pytest.fixture
        def tier(self, tmp_path):        # a fresh tier, or one that other tests' keys do not disturb
            return ZipStorage(ZipStorageSettings(folder=tmp_path))

        @pytest.fixture
        def away(self, tmp_path): ...    # one whose engine cannot be reached

What a plugin can do is declared by attributes of the class; no test is ever overridden.
"""

import pytest

# Else a stranger whose plugin fails would read "AssertionError" and nothing else.
pytest.register_assert_rewrite(
    *(f"{__name__}.{name}" for name in ("common", "storage", "feed", "session", "cache", "queue"))
)

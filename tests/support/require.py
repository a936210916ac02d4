"""No silent skip: what ``PHOTOAPP_TEST_REQUIRE`` names must be there, and the rest says why it is not."""

import os
import re
from typing import NoReturn

import pytest


def unavailable(engine: str, reason: str) -> NoReturn:
    """Skip the test that needs an engine, or fail it where the environment requires the engine (``all``: every one)."""
    required = set(re.split(r"[\s,]+", os.environ.get("PHOTOAPP_TEST_REQUIRE", "")))
    if required & {engine, "all"}:
        pytest.fail(f"{engine} is required (PHOTOAPP_TEST_REQUIRE) and absent: {reason}", pytrace=False)
    pytest.skip(f"{engine} is absent: {reason}")

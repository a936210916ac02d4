"""People on the production shape."""

import pytest

from support.people import App


@pytest.fixture
def app(stack):
    return App.of(stack)

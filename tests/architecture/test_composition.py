"""The built application: the order of its tweens, a permission on every view, every route known."""

from collections.abc import Iterator
from pathlib import Path

import plaster
import pytest
from pyramid.config import Configurator
from pyramid.interfaces import ITweens
from pyramid.security import NO_PERMISSION_REQUIRED

from photoapp import configure
from photoapp.security.permissions import NEEDS, Permission
from support.server import Server

PUBLIC = {"home", "healthz", "readyz", "statusz", "metrics", "files", "image", "oauth.token", "__static/"}
"""Views that anyone may call; each has its own protection or needs none."""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Configurator]:
    ini = Server(Path(tmp_path_factory.mktemp("app"))).ini
    config = configure({"__file__": str(ini)}, dict(plaster.get_settings(str(ini), "app:main")))
    yield config
    config.registry.tiers.close()
    config.registry.shards.close()
    config.registry.imaging.close()


def test_the_tweens_stand_in_the_order_that_makes_answers_true(config: Configurator):
    """The edge answers everything; the acknowledgement waits outside the transaction; errors become answers inside it (T1)."""
    names = [name for name, _ in config.registry.queryUtility(ITweens).implicit()]
    assert names == [
        "photoapp.edge.tween_factory",
        "photoapp.acknowledge.tween_factory",
        "pyramid_tm.tm_tween_factory",
        "pyramid.tweens.excview_tween_factory",
    ]


def test_pyramid_tm_asks_nobody_for_a_user_and_takes_an_explicit_manager(config: Configurator):
    """STYLE D34: else policy and database would be touched on every request, health included."""
    settings = config.registry.settings
    assert settings["tm.annotate_user"] is False
    assert settings["tm.manager_hook"].__name__ == "explicit_manager"


def test_every_view_has_a_permission_of_ours_or_is_on_the_public_list(config: Configurator):
    for item in config.introspector.get_category("views"):
        view = item["introspectable"]
        route = view["route_name"]
        if route is None:
            continue
        permissions = [related for related in item["related"] if related.category_name == "permissions"]
        granted = {related["value"] for related in permissions} or {NO_PERMISSION_REQUIRED}
        if route in PUBLIC:
            assert granted == {NO_PERMISSION_REQUIRED}, route
        else:
            assert granted <= set(Permission), (route, granted)


def test_every_route_has_a_view(config: Configurator):
    routes = {item["introspectable"]["name"] for item in config.introspector.get_category("routes")}
    viewed = {item["introspectable"]["route_name"] for item in config.introspector.get_category("views")}
    assert routes == viewed - {None}


def test_every_permission_says_what_it_needs():
    assert set(NEEDS) == set(Permission)


def test_a_read_opens_no_transaction(config: Configurator):
    hook = config.registry.settings["tm.activate_hook"]
    assert not any(hook(_Request(method)) for method in ("GET", "HEAD", "OPTIONS"))
    assert all(hook(_Request(method)) for method in ("POST", "PUT", "DELETE"))


class _Request:
    def __init__(self, method: str) -> None:
        self.method = method

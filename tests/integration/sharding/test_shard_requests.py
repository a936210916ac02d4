"""What a request may write: one shard, in pyramid_tm's transaction."""

import pytest
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from sqlalchemy import insert, select

from photoapp.models import Meta
from photoapp.sharding import SecondWriterError


def write_one(request):
    request.writer(1).execute(insert(Meta).values(key="one", value="x"))
    request.writer(1).execute(insert(Meta).values(key="two", value="x"))
    return Response("written")


def write_two(request):
    request.writer(1).execute(insert(Meta).values(key="one", value="x"))
    request.writer(2)


def raise_after_writing(request):
    request.writer(1).execute(insert(Meta).values(key="one", value="x"))
    raise ZeroDivisionError


def read(request):
    return Response(str(request.environ.get("tm.active", False)))


@pytest.fixture
def app(shard_settings):
    config = Configurator(settings=shard_settings)
    config.include("photoapp.sharding")
    for view in (write_one, write_two, raise_after_writing, read):
        config.add_route(view.__name__, f"/{view.__name__}")
        config.add_view(view, route_name=view.__name__)
    yield config.make_wsgi_app()
    config.registry.shards.close()


def answer(app, path, method="POST"):
    return Request.blank(path, method=method).get_response(app).text


def written(shards):
    keys = []
    for shard in (1, 2):
        with shards.read(shard) as connection:
            keys += connection.scalars(select(Meta.key).where(Meta.key.in_(["one", "two"])))
    return sorted(keys)


def test_an_answer_commits_what_the_request_wrote(app, shards):
    assert answer(app, "/write_one") == "written"
    assert written(shards) == ["one", "two"]


def test_an_exception_takes_it_back(app, shards):
    with pytest.raises(ZeroDivisionError):
        answer(app, "/raise_after_writing")
    assert written(shards) == []


def test_a_second_shard_is_refused_and_the_first_is_taken_back(app, shards):
    with pytest.raises(SecondWriterError, match="shard 1 is being written, 2 was asked for"):
        answer(app, "/write_two")
    assert written(shards) == []


def test_a_read_has_no_transaction(app):
    assert answer(app, "/read", "GET") == "False"
    assert answer(app, "/read", "POST") == "True"

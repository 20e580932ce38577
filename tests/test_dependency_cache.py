"""Practice 4: every route of it, its answers, and what each asks of the database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from fastapi import FastAPI
from helpers import no_leftovers

from lab_apps.instruments import claims, postgres
from lab_apps.instruments.dependency_calls import tree
from lab_apps.instruments.hops import pool_hops
from lab_apps.instruments.postgres import Database
from lab_apps.instruments.proxy import Proxy, delayed
from lab_apps.instruments.queries import Recorder, RequestLog
from lab_apps.instruments.server import serve
from lab_apps.practices import dependency_cache
from lab_apps.practices.dependency_cache import cache, joined, split, tokens
from lab_apps.practices.dependency_cache.database import Way

WAYS = [way.value for way in Way]
ONE = {"id": 1, "creator_id": 1, "title": "one"}
CLAIMS = claims.load()


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    if missing := postgres.why_not():
        pytest.skip(missing)
    with postgres.database().schema() as schema:
        yield schema
    postgres.stop()


@pytest.fixture(scope="module")
def proxy(database: Database) -> Iterator[Proxy]:
    with delayed(database.url) as running:
        yield running


@dataclass
class Site:
    """The specimen as served, and a look at its requests."""

    app: FastAPI
    recorder: Recorder
    url: str
    proxy: Proxy

    def get(self, path: str, user: int | None = 1) -> httpx.Response:
        bearer = {"Authorization": f"Bearer {tokens.signed(user)}"} if user else {}
        return httpx.get(self.url + path, headers=bearer)

    def look(self, path: str, user: int | None = 1) -> tuple[httpx.Response, RequestLog, int]:
        """The answer, what it asked, and its round trips, those after the answer included."""
        self.recorder.take()
        before = self.proxy.round_trips
        answer = self.get(path, user)
        (log,) = self.recorder.take()
        return answer, log, self.proxy.round_trips - before


@pytest.fixture(scope="module")
def site(proxy: Proxy) -> Iterator[Site]:
    app = dependency_cache.create_app(proxy.url)
    recorder = Recorder(app)
    with serve(recorder) as server:
        yield Site(app, recorder, server.url, proxy)


@pytest.fixture(autouse=True)
def _no_delay(proxy: Proxy) -> Iterator[None]:
    yield
    proxy.delay_ms = 0


ROUND_TRIPS = {
    ("split", "each"): 6,
    ("split", "request"): 4,
    ("split", "autocommit"): 2,
    ("split", "checked"): 4,
    ("join", "each"): 3,
    ("join", "request"): 3,
    ("join", "autocommit"): 1,
    ("join", "checked"): 2,
}


def check_round_trips(site: Site, shape: str, way: str) -> None:
    """On every connection of the pool, more often than psycopg waits before it prepares."""
    for _ in range(14):
        answer, log, trips = site.look(f"/{shape}/{way}/users/1/posts/1")
        assert (answer.status_code, answer.json()) == (200, ONE)
        texts = [query.sql for query in log.queries]
        assert texts == ([joined.JOIN] if shape == "join" else [split.POST, split.USER])
        assert trips == ROUND_TRIPS[shape, way]
        assert trips == len(log.queries) + len(log.commands)


@pytest.mark.parametrize(("shape", "way"), ROUND_TRIPS)
def test_round_trips(site: Site, shape: str, way: str) -> None:
    check_round_trips(site, shape, way)


def test_check_sees_prepared_statements(proxy: Proxy) -> None:
    app = dependency_cache.create_app(proxy.url)
    recorder = Recorder(app)
    with serve(recorder) as server:
        for connection in app.state.pools[Way.AUTOCOMMIT]._pool:
            connection.prepare_threshold = 5  # psycopg's own
        with pytest.raises(AssertionError):
            check_round_trips(Site(app, recorder, server.url, proxy), "split", "autocommit")


ANSWERS = {  # post, user: status, detail
    (1, 1): (200, None),
    (2, 1): (403, "not your post"),
    (3, 3): (403, "you are banned"),
    (4, 4): (403, "not a creator"),
    (9, 1): (404, "no such post"),
    (1, 9): (403, "not your post"),
    (1, None): (401, "Not authenticated"),
}


@pytest.mark.parametrize("way", WAYS)
def test_split_and_join_answer_alike(site: Site, way: str) -> None:
    for (post, user), (status, detail) in ANSWERS.items():
        for shape in ("split", "join"):
            answer = site.get(f"/{shape}/{way}/users/1/posts/{post}", user)
            assert answer.status_code == status, (shape, post, user)
            assert answer.json() == (ONE if detail is None else {"detail": detail})
    assert site.get("/split/nowhere/users/1/posts/1").status_code == 422


def test_nobody_looks_at_the_user_of_the_path(site: Site) -> None:
    assert site.get("/split/autocommit/users/999/posts/1").json() == ONE


def test_forged_tokens_are_refused(site: Site) -> None:
    for token in ("forged", tokens.signed(1)[:-2] + "xx"):
        bearer = {"Authorization": f"Bearer {token}"}
        answer = httpx.get(f"{site.url}/join/autocommit/users/1/posts/1", headers=bearer)
        assert answer.status_code == 401


@pytest.mark.parametrize(
    ("suffix", "posts", "users"),
    [
        ("", 1, 1),
        ("/third-use", 1, 1),
        ("/token-first", 1, 1),
        ("/post-three-times", 1, 0),
        ("/post-three-times-uncached", 3, 0),
        ("/nothing", 0, 0),
    ],
)
def test_queries_of_each_route(site: Site, suffix: str, posts: int, users: int) -> None:
    answer, log, trips = site.look(f"/split/autocommit/users/1/posts/1{suffix}")
    assert answer.json() == ONE
    texts = [query.sql for query in log.queries]
    assert (texts.count(split.POST), texts.count(split.USER)) == (posts, users)
    assert len(texts) == trips == posts + users


@pytest.mark.parametrize(
    ("suffix", "post", "status", "queries"),
    [("", 1, 401, 1), ("", 99, 404, 1), ("/token-first", 1, 401, 0), ("/token-first", 99, 401, 0)],
)
def test_without_a_token(site: Site, suffix: str, post: int, status: int, queries: int) -> None:
    answer, log, _ = site.look(f"/split/autocommit/users/1/posts/{post}{suffix}", None)
    assert (answer.status_code, len(log.queries)) == (status, queries)


def test_places_of_the_token(site: Site) -> None:
    path = "/split/{way}/users/{user_id}/posts/{post_id}"
    for suffix, sites in (("", 2), ("/third-use", 3)):
        assert tree(site.app, path + suffix).sites("parse_jwt_data") == sites


def test_every_case_of_the_cache(site: Site) -> None:
    expected = CLAIMS["4.1.1"].expected
    assert set(cache.cases()) < set(expected)
    for _ in range(2):  # nothing is kept for the next request
        assert {name: site.get(f"/cache/{name}").json() for name in expected} == expected
    assert site.get("/cache/parameters?page=1").json() == {"call": 1, "read": 3}
    assert site.get("/cache/parameters").json() == {"call": 1, "read": 0}  # a default isn't


def test_two_queries_that_need_not_wait(site: Site) -> None:
    site.proxy.delay_ms = 50
    for path, overlap in (("two-dependencies", False), ("gathered", True)):
        answer, log, trips = site.look(f"/independent/autocommit/{path}")
        assert answer.json() == [{"rows": 4}, {"rows": 4}]
        one, two = sorted(log.queries, key=lambda query: query.begun_ns)
        assert (two.begun_ns < one.ended_ns) == overlap
        assert trips == 2
    _, log, trips = site.look("/independent/request/gathered")
    assert trips == 4  # BEGIN, two queries, COMMIT: one connection says one thing at a time
    ends = [query.ended_ns for query in log.queries]
    assert abs(ends[1] - ends[0]) >= 45 * 10**6


def test_commit_before_and_after_the_answer(site: Site) -> None:
    for scope, second in (("request", 201), ("function", 409)):
        path = f"{site.url}/names/{scope}-scope/{scope}"
        assert [httpx.post(path).status_code for _ in range(2)] == [201, second]
    assert site.get("/names").json() == ["function", "request"]


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("async", []),
        ("def", ["def_post", "def_token", "def_owned", "def_creator"]),
        ("def-uncached", ["def_post", "def_token", "def_owned", "def_owned"]),
    ],
)
def test_trips_to_the_pool(site: Site, path: str, names: list[str]) -> None:
    with pool_hops() as seen:
        assert site.get(f"/pooled/{path}").json() == 1
    assert seen == names


def test_without_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAB_DATABASE_URL", raising=False)
    with (
        pytest.raises(RuntimeError, match="set LAB_DATABASE_URL to a Postgres"),
        serve(dependency_cache.app),
    ):
        pass


def test_url_from_the_environment(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_DATABASE_URL", database.url)
    for _ in range(2):  # the tables are there the second time
        with no_leftovers(), serve(dependency_cache.app) as server:
            path = "/split/autocommit/users/1/posts/1/nothing"
            assert httpx.get(server.url + path).json() == ONE

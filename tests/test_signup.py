"""Sign-ups of one address: what each way to check lets through, one by one and all at once."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from itertools import count

import httpx
import pytest
from checked import SPECIMEN, Checked, checked
from helpers import attempts

from lab_apps.instruments import postgres
from lab_apps.instruments.server import Process, serve
from lab_apps.practices.database_checks import create_app

LOOSE = [
    "dependency",
    "read-committed",
    "repeatable-read",
    "for-update",
    "serializable",
    "advisory-lock",
    "advisory-lock-repeatable-read",
    "process-lock",
    "unit-of-work",
    "unit-of-work-function",
]
CONSTRAINED = ["on-conflict", "users", "on-conflict-repeatable-read"]
LETS_THROUGH = ["dependency", "read-committed", "repeatable-read", "for-update"]
ONE_ROW = ["serializable", "advisory-lock", "process-lock"]

numbers = count()


@pytest.fixture(scope="module")
def running() -> Iterator[Checked]:
    with checked() as one:
        yield one
    postgres.stop()


@pytest.fixture
def email() -> str:
    return f"{next(numbers)}@example.org"


@pytest.mark.parametrize("route", LOOSE + CONSTRAINED)
def test_one_after_another(running: Checked, route: str, email: str) -> None:
    """The second one is refused, by all of them, and another address isn't."""
    table = "users" if route in CONSTRAINED else "loose_users"
    first = running.client.post(f"/{route}?gap_ms=1", json={"email": email})
    assert (first.status_code, first.json()) == (201, {"email": email})
    second = running.client.post(f"/{route}", json={"email": email})
    assert second.status_code == 409
    assert email in second.json()["detail"]
    other = running.client.post(f"/{route}", json={"email": f"other-{email}"})
    assert other.status_code == 201
    assert running.rows(email, table) == 1


def test_a_constraint_that_nobody_handles(running: Checked, email: str) -> None:
    assert running.together("/unique?gap_ms=1", email) == {201: 1, 500: 19}
    assert running.rows(email, "users") == 1


@pytest.mark.parametrize("gap_ms", [0, 60])
@pytest.mark.parametrize("route", ["on-conflict", "users"])
def test_the_remedy_stores_one(running: Checked, route: str, gap_ms: int, email: str) -> None:
    for trial in range(3):
        address = f"{trial}-{email}"
        answers = running.together(f"/{route}?gap_ms={gap_ms}", address)
        assert answers == {201: 1, 409: 19}
        assert running.rows(address, "users") == 1


@pytest.mark.parametrize("route", ONE_ROW)
def test_one_row_of_twenty(running: Checked, route: str, email: str) -> None:
    assert running.together(f"/{route}?gap_ms=60", email) == {201: 1, 409: 19}
    assert running.rows(email) == 1


@pytest.mark.parametrize("route", LETS_THROUGH)
def test_more_than_one_row_of_twenty(running: Checked, route: str, email: str) -> None:
    answers = running.together(f"/{route}?gap_ms=150", email)
    assert running.rows(email) == answers[201] > 1
    assert answers[201] + answers.get(409, 0) == 20


def test_a_lock_waited_for_with_an_older_snapshot(running: Checked, email: str) -> None:
    answers = running.together("/advisory-lock-repeatable-read?gap_ms=30", email, 6)
    assert running.rows(email) == answers[201] > 1


def test_on_conflict_with_an_older_snapshot(running: Checked, email: str) -> None:
    answers = running.together("/on-conflict-repeatable-read?gap_ms=150", email)
    assert running.rows(email, "users") == answers[201] == 1
    assert answers[500] >= 1


def test_serializable_is_tried_again_and_gives_up(running: Checked, email: str) -> None:
    """Without an index different addresses are aborted too; who gives up has stored nothing."""
    running.recorder.take()

    async def sign_up() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=running.server_url, timeout=30) as client:
            path, emails = "/serializable?gap_ms=50", [f"{n}-{email}" for n in range(20)]
            return await asyncio.gather(*(client.post(path, json={"email": e}) for e in emails))

    answers = asyncio.run(sign_up())
    assert {answer.status_code for answer in answers} == {201, 503}
    for number, answer in enumerate(answers):
        assert running.rows(f"{number}-{email}") == (answer.status_code == 201)
        assert answer.headers.get("retry-after") == (None if answer.is_success else "1")
    for log in running.recorder.take():
        asked = [*log.queries, *log.commands]
        aborted = sum(one.error == "SerializationFailure" for one in asked)
        assert aborted <= 5 if log.status == 201 else aborted == 5


def test_the_lock_of_a_process_and_a_second_process(running: Checked, email: str) -> None:
    env = {"LAB_DATABASE_URL": running.url}

    async def sign_up(urls: list[str]) -> list[int]:
        async with httpx.AsyncClient(timeout=30) as client:
            paths = [f"{url}/process-lock?gap_ms=500" for url in urls * 5]
            asked = [client.post(path, json={"email": email}) for path in paths]
            return sorted(answer.status_code for answer in await asyncio.gather(*asked))

    with contextlib.ExitStack() as stack:
        homes = [stack.enter_context(Process(env)) for _ in range(2)]
        urls = [stack.enter_context(serve(SPECIMEN, where=home)).url for home in homes]
        assert asyncio.run(sign_up(urls)) == [201, 201, *[409] * 8]
    assert running.rows(email) == 2


@pytest.mark.parametrize(
    ("route", "second"), [("unit-of-work", 201), ("unit-of-work-function", 409)]
)
def test_when_a_unit_of_work_is_committed(
    running: Checked, route: str, second: int, email: str
) -> None:
    def post() -> int:
        path = f"/{route}?mail_ms=500"
        return running.client.post(path, json={"email": email}).status_code

    assert [post(), running.rows(email), post()] == [201, second == 409, second]
    time.sleep(0.7)
    assert running.rows(email) == (2 if second == 201 else 1)


def test_who_answers_409_with_the_remedy(running: Checked, email: str) -> None:
    """The one says so before the work, the other after it; both know the address."""
    running.together("/users?gap_ms=150", email)
    late = [log for log in running.recorder.take() if log.status == 409 and len(log.queries) == 2]
    assert late
    began = time.monotonic()
    answer, log = running.ask("POST", "/users?gap_ms=5000", json={"email": email})
    assert (answer.status_code, len(log.queries)) == (409, 1)
    assert time.monotonic() - began < 4  # so the work of 5 s was not done
    assert "already" in answer.json()["detail"]


def check_step(running: Checked, email: str) -> None:
    """Two that are closer than the gap are stored twice, two that are farther apart once."""
    for apart_s, rows in ((0.1, 2), (0.5, 1)):
        address = f"{apart_s}-{email}"

        async def sign_up(apart_s: float = apart_s, address: str = address) -> None:
            async with httpx.AsyncClient(base_url=running.server_url) as client:
                post = client.post("/dependency?gap_ms=300", json={"email": address})
                first = asyncio.ensure_future(post)
                await asyncio.sleep(apart_s)
                await client.post("/dependency?gap_ms=300", json={"email": address})
                await first

        running.db.execute("DELETE FROM loose_users WHERE email = %s", [address])
        asyncio.run(sign_up())
        assert running.rows(address) == rows


def test_the_gap_is_the_window(running: Checked, email: str) -> None:
    attempts(check_step, running, email)


@pytest.mark.parametrize(
    ("autocommit", "asked"),
    [
        (True, ["SELECT", "INSERT"]),
        (False, ["BEGIN", "SELECT", "COMMIT", "BEGIN", "INSERT", "COMMIT"]),
    ],
)
def test_what_the_window_is_made_of(autocommit: bool, asked: list[str], email: str) -> None:
    """In psycopg's default the row is seen four statements after the check, else one."""
    with checked(lambda url: create_app(url, autocommit=autocommit)) as running:
        answer, log = running.ask("POST", "/dependency", json={"email": email})
    assert answer.status_code == 201
    ended = sorted([*log.queries, *log.commands], key=lambda one: one.ended_ns)
    assert [one.sql.split()[0] for one in ended] == asked


def test_a_hash_is_work(running: Checked, email: str) -> None:
    answer, log = running.ask("POST", "/dependency?hashed=true", json={"email": email})
    assert answer.status_code == 201
    check, insert = log.queries
    assert insert.begun_ns - check.ended_ns > 5e6  # some 50 ms; a route without it takes one

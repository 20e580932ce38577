"""Two apps and every schema on the way: who is served, and whether both read what either wrote."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import httpx
import psycopg
import pytest
from alembic import command
from alembic.config import Config
from migrated import HEAD, empty

from lab_apps.instruments import postgres
from lab_apps.instruments.server import serve
from lab_apps.practices.migrations import application, commands, create_app

NEW = {"title": "A title", "text": "A text"}
BEFORE, RENAMED, BOTH = ([200, 201], [500, 500]), ([500, 500], [200, 201]), ([200, 201], [200, 201])
ONLY_READS = ([200, 201], [200, 500])


@pytest.fixture(scope="module", autouse=True)
def stopped() -> Iterator[None]:
    yield
    postgres.stop()


@contextlib.contextmanager
def rollout(trial: str) -> Iterator[tuple[Config, httpx.Client, httpx.Client]]:
    """The old app and the new one on a database at the app's newest revision."""
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(empty("Postgres"))
        clients = []
        for column in ("body", "content"):
            server = stack.enter_context(serve(create_app(url, column=column)))
            clients.append(stack.enter_context(httpx.Client(base_url=server.url)))
        old, new = clients
        yield commands.config(url, trial), old, new


def served(client: httpx.Client) -> list[int]:
    """The status of a read and of a write."""
    return [client.get("/posts/1").status_code, client.post("/posts", json=NEW).status_code]


@pytest.mark.parametrize(
    ("trial", "ups", "downs"),
    [
        ("direct", [("rename", RENAMED)], [(HEAD, BEFORE)]),
        ("backfill_only", [("copy", ONLY_READS)], [(HEAD, BEFORE)]),
        (
            "gradual",
            [("expand", BOTH), ("contract", RENAMED)],
            [("expand", BOTH), (HEAD, BEFORE)],
        ),
    ],
)
def test_who_is_served(
    trial: str,
    ups: list[tuple[str, tuple[list[int], list[int]]]],
    downs: list[tuple[str, tuple[list[int], list[int]]]],
) -> None:
    with rollout(trial) as (config, old, new):
        assert (served(old), served(new)) == BEFORE
        for move, steps in ((command.upgrade, ups), (command.downgrade, downs)):
            for revision, expected in steps:
                move(config, revision)
                assert (served(old), served(new)) == expected, revision


@pytest.mark.parametrize(("trial", "text"), [("gradual", "A text"), ("backfill_only", None)])
def test_what_the_old_app_writes_and_the_new_one_reads(trial: str, text: str | None) -> None:
    with rollout(trial) as (config, old, new):
        before = old.post("/posts", json=NEW).json()
        command.upgrade(config, "expand" if trial == "gradual" else "copy")
        after = old.post("/posts", json=NEW).json()
        assert new.get(f"/posts/{before['id']}").json() == before
        assert new.get(f"/posts/{after['id']}").json() == after | {"text": text}


def test_the_trigger_keeps_both_columns_the_same() -> None:
    with rollout("gradual") as (config, old, new):
        command.upgrade(config, "expand")
        post = new.post("/posts", json=NEW).json()
        assert old.get(f"/posts/{post['id']}").json() == post
        with psycopg.connect(config.attributes["url"], autocommit=True) as connection:
            for column, reader in (("body", new), ("content", old)):
                change = f"UPDATE posts SET {column} = %s WHERE id = %s"
                connection.execute(change.encode(), [f"by {column}", post["id"]])
                assert reader.get(f"/posts/{post['id']}").json()["text"] == f"by {column}"
        command.upgrade(config, "contract")
        command.downgrade(config, "expand")
        assert old.get(f"/posts/{post['id']}").json()["text"] == "by content"
        assert new.post("/posts", json=NEW).json()["text"] == "A text"


def check_star_fails(client: httpx.Client) -> None:
    for _ in range(3):
        answer = client.get("/posts/1/star")
        assert (answer.status_code, answer.json()) == (500, {"sqlstate": "0A000"})
    assert client.get("/posts/1").status_code == 200


def test_a_prepared_star_does_not_survive_a_column(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the sixth use on a connection on, for as long as the row has another shape.

    Named columns do, and so does a new connection.
    """
    monkeypatch.setattr(application, "POOL", 1)
    with rollout("gradual") as (config, old, _):
        for _ in range(6):
            assert old.get("/posts/1/star").status_code == old.get("/posts/1").status_code == 200
        command.upgrade(config, "expand")
        check_star_fails(old)
        with serve(create_app(config.attributes["url"])) as afresh:
            assert httpx.get(f"{afresh.url}/posts/1/star").status_code == 200
        command.downgrade(config, HEAD)
        assert old.get("/posts/1/star").status_code == 200
        command.upgrade(config, "contract")
        command.downgrade(config, HEAD)  # body stands last now
        check_star_fails(old)

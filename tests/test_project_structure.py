"""Practice 1: both layouts keep one contract, checked by the same requests to either app.

On a real server, not a TestClient: as clients meet it, through sockets, and several at once.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import psycopg
import pytest
from helpers import wait_until
from structured import LAYOUTS, PASSWORD, Answer, Site, site

from lab_apps.instruments import postgres
from lab_apps.practices.project_structure.by_domain import config

pytestmark = pytest.mark.skipif(bool(postgres.why_not()), reason=postgres.why_not())

MIB = 2**20
OPERATIONS = [
    ("POST", "/auth/users"),
    ("POST", "/auth/token"),
    ("POST", "/posts"),
    ("GET", "/posts"),
    ("GET", "/posts/{post_id}"),
    ("DELETE", "/posts/{post_id}"),
    ("POST", "/posts/{post_id}/comments"),
    ("GET", "/posts/{post_id}/comments"),
    ("POST", "/posts/{post_id}/attachments"),
    ("GET", "/posts/{post_id}/attachments/{attachment_id}"),
    ("GET", "/notifications"),
]
OF_USERS, OF_A_POST = OPERATIONS[2:], OPERATIONS[4:10]
TOKEN, NO_POST = {"detail": "auth: the token is not valid"}, {"detail": "posts: no such post"}


@pytest.fixture(scope="module", params=LAYOUTS)
def running(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Site]:
    with site(request.param, tmp_path_factory.mktemp("bucket")) as one:
        yield one


@pytest.fixture(scope="module", autouse=True)
def _database() -> Iterator[None]:
    yield
    postgres.stop()


def filled(path: str, **ids: object) -> str:
    """The path with these ids, and with new ones for the others."""
    return re.sub(r"{(\w+)}", lambda name: str(ids.get(name[1], uuid4())), path)


def test_operations(running: Site) -> None:
    paths = running.app.openapi()["paths"]
    operations = [(method.upper(), path) for path in paths for method in paths[path]]
    assert sorted(operations) == sorted(OPERATIONS)


def test_openapi_is_the_same_to_the_byte() -> None:
    one, other = (
        json.dumps(layout.create_app("unused").openapi(), sort_keys=True).encode()
        for layout in LAYOUTS.values()
    )
    assert len(one) > 1000
    assert one == other


def check_posts(running: Site) -> None:
    """Written and listed by their author, read by any user, deleted by their author alone."""
    ada, bob = running.register(), running.register()
    assert ada.ask("GET", "/posts") == (200, [])
    one, two = ada.write("one"), ada.write("two")
    bobs = bob.write()
    expected = [
        {"id": path[7:], "author_id": ada.id, "title": path_title}
        for path, path_title in ((one, "one"), (two, "two"))
    ]
    assert ada.ask("GET", "/posts") == (200, expected)
    assert ada.ask("GET", one) == bob.ask("GET", one) == (200, expected[0])
    refused = (403, {"detail": "posts: it is another user's post"})
    assert ada.ask("DELETE", bobs) == bob.ask("DELETE", one) == refused
    assert ada.ask("DELETE", one) == (204, "")
    for user in (ada, bob):
        assert user.ask("GET", one) == user.ask("DELETE", one) == (404, NO_POST)
    assert ada.ask("GET", "/posts") == (200, expected[1:])


def check_what_others_do(running: Site) -> None:
    """Comments and files are there for any user, and the author of the post is told of others'."""
    ada, bob = running.register(), running.register()
    post = ada.write()
    told = {"post_id": post[7:], "actor_id": bob.id}
    assert ada.ask("GET", f"{post}/comments") == (200, [])
    said = {"author_id": bob.id, "text": "well said"}
    comments = f"{post}/comments"
    assert bob.ask("POST", comments, json={"text": "well said"}) == (201, said)
    mine = {"author_id": ada.id, "text": "thanks"}
    assert ada.ask("POST", comments, json={"text": "thanks"}) == (201, mine)
    assert ada.ask("GET", comments) == bob.ask("GET", comments) == (200, [said, mine])
    assert ada.notifications() == [{"kind": "commented", **told}]
    file, own = bob.attach(post, b"from bob"), ada.attach(post, b"from ada")
    assert ada.ask("GET", file) == bob.ask("GET", file) == (200, "from bob")
    assert bob.ask("GET", own) == (200, "from ada")
    expected = [{"kind": kind, **told} for kind in ("commented", "attached")]
    assert ada.notifications() == expected
    assert bob.notifications() == []


def check_deleted(running: Site) -> None:
    """With a post goes what belongs to it, in the database and in the bucket, and nothing else."""
    ada, bob = running.register(), running.register()
    tables = ("posts", "comments", "attachments", "notifications")
    kept = bob.write()
    bob.attach(kept)
    before = [running.count(table) for table in tables], running.files()
    post = ada.write()
    bob.attach(post, b"one"), bob.attach(post, b"two")
    bob.ask("POST", f"{post}/comments", json={"text": "to go"})
    assert [running.count(table) for table in tables] == [
        count + more for count, more in zip(before[0], (1, 1, 2, 3), strict=True)
    ]
    assert len(running.files()) == len(before[1]) + 2
    assert ada.ask("DELETE", post) == (204, "")
    assert ([running.count(table) for table in tables], running.files()) == before
    assert ada.notifications() == []


CHECKS = [check_posts, check_what_others_do, check_deleted]


@pytest.mark.parametrize("check", CHECKS)
def test_contract(running: Site, check: Callable[[Site], None]) -> None:
    check(running)


def test_an_address_has_one_account(running: Site) -> None:
    taken = (409, {"detail": "auth: the address has an account"})
    again = {"email": running.register().email.upper(), "password": "another one"}
    assert running.ask("POST", "/auth/users", json=again) == taken
    new = {"email": f"{uuid4().hex}@example.org", "password": PASSWORD}
    with ThreadPoolExecutor() as pool:
        answers = pool.map(lambda _: running.ask("POST", "/auth/users", json=new), range(8))
    assert sorted(status for status, _ in answers) == [201] + [409] * 7


def test_wrong_credentials(running: Site) -> None:
    wrong = (401, {"detail": "auth: no such address and password"})
    for email, password in (
        (running.register().email, "correct house"),
        ("nobody@example.org", PASSWORD),
    ):
        given = {"email": email, "password": password}
        assert running.ask("POST", "/auth/token", json=given) == wrong


def test_passwords_are_stored_hashed(running: Site) -> None:
    running.register(), running.register()
    stored = [row[0] for row in running.db.execute("SELECT password FROM users")]
    assert len(set(stored)) == len(stored) > 1
    assert not any(PASSWORD.encode() in password for password in stored)


def bad_tokens(user_id: str) -> list[str]:
    """Tokens that are none of ours, each for one reason."""
    soon, ago = (datetime.now(UTC) + timedelta(hours=hours) for hours in (1, -1))
    good = {"sub": user_id, "exp": soon}
    secret = config.SECRET
    return [
        "forged",
        jwt.encode(good, "another secret that has its 32 bytes"),
        jwt.encode(good, None, algorithm="none"),
        jwt.encode(good | {"exp": ago}, secret),
        jwt.encode({"sub": user_id}, secret),
        jwt.encode({"exp": soon}, secret),
        jwt.encode(good | {"sub": "ada"}, secret),
        jwt.encode(good | {"sub": str(uuid4())}, secret),
    ]


@pytest.mark.parametrize(("method", "path"), OF_USERS)
def test_only_users(running: Site, method: str, path: str) -> None:
    ada = running.register()
    path = filled(path, post_id=ada.write()[7:])
    assert running.ask(method, path) == (401, {"detail": "Not authenticated"})
    for token in bad_tokens(ada.id):
        assert running.ask(method, path, token) == (401, TOKEN)
    refused = running.client.request(method, path, headers={"Authorization": "Bearer forged"})
    assert refused.headers["www-authenticate"] == "Bearer"
    good = {"sub": ada.id, "exp": datetime.now(UTC) + timedelta(hours=1)}
    assert running.ask(method, path, jwt.encode(good, config.SECRET))[0] != 401


@pytest.mark.parametrize(("method", "path"), OF_A_POST)
def test_unknown_posts(running: Site, method: str, path: str) -> None:
    ada = running.register()
    sent = {"files": {"file": b"x"}} if path.endswith("attachments") else {"json": {"text": "x"}}
    assert ada.ask(method, filled(path), **sent) == (404, NO_POST)
    status, body = ada.ask(method, filled(path, post_id="seven"), **sent)
    assert (status, body["detail"][0]["loc"]) == (422, ["path", "post_id"])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/auth/users", {"email": "no address", "password": PASSWORD}),
        ("/auth/users", {"email": "short@example.org", "password": "short"}),
        ("/auth/token", {"email": "ada@example.org"}),
        ("/posts", {"title": ""}),
        ("/posts", {"title": "a\0b"}),
        ("/posts/{post_id}/comments", {"text": "x" * 201}),
        ("/posts/{post_id}/attachments", {"file": "no file"}),
    ],
)
def test_invalid_bodies(running: Site, path: str, body: dict[str, str]) -> None:
    ada = running.register()
    assert ada.ask("POST", filled(path, post_id=ada.write()[7:]), json=body)[0] == 422


def test_attachments_that_are_not_there(running: Site) -> None:
    ada = running.register()
    post, other = ada.write(), ada.write()
    file = ada.attach(post)
    absent = (404, {"detail": "posts: no such attachment"})
    assert ada.ask("GET", f"{post}/attachments/{uuid4()}") == absent
    assert ada.ask("GET", file.replace(post, other)) == absent
    (running.bucket / file.rpartition("/")[2]).unlink()
    assert ada.ask("GET", file) == (404, {"detail": "storage: the file is not there"})
    assert ada.ask("DELETE", post) == (204, "")


def test_size_of_attachments(running: Site) -> None:
    ada, bob = running.register(), running.register()
    post = ada.write()
    for size in (0, MIB):
        assert ada.ask("GET", ada.attach(post, b"x" * size)) == (200, "x" * size)
    files = {"file": b"x" * (MIB + 1)}
    before = running.files()
    too_large = (413, {"detail": "posts: the attachment is larger than 1 MiB"})
    assert bob.ask("POST", f"{post}/attachments", files=files) == too_large
    assert running.files() == before
    assert ada.notifications() == []


def answered_after(running: Site, ask: Callable[[], Answer], statement: str) -> Answer:
    """What is answered to a request that waits for a transaction of this statement."""
    waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    with ThreadPoolExecutor(1) as pool, psycopg.connect(running.url) as other:
        other.execute(statement)
        asked = pool.submit(ask)
        waiting = wait_until(lambda: running.db.execute(waits).fetchone() != (0,), 5)
        other.commit()
        assert waiting
        return asked.result()


def test_what_is_written_about_a_post_that_is_being_deleted(running: Site) -> None:
    ada, bob = running.register(), running.register()
    before = running.files()
    for kind, sent in (
        ("comments", {"json": {"text": "late"}}),
        ("attachments", {"files": {"file": b"late"}}),
    ):
        post = ada.write()
        late = partial(bob.ask, "POST", f"{post}/{kind}", **sent)
        delete = f"DELETE FROM posts WHERE id = '{post[7:]}'"
        assert answered_after(running, late, delete) == (404, NO_POST)
    assert running.files() == before


def test_a_file_attached_while_its_post_is_being_deleted_goes_too(running: Site) -> None:
    ada = running.register()
    before, post, file = running.files(), ada.write(), uuid4()
    attach = f"INSERT INTO attachments VALUES ('{file}', '{post[7:]}')"
    (running.bucket / str(file)).write_bytes(b"just attached")
    assert answered_after(running, partial(ada.ask, "DELETE", post), attach) == (204, "")
    assert running.files() == before


def test_a_storage_that_fails_undoes_the_rest(running: Site, tmp_path: Path) -> None:
    ada, bob = running.register(), running.register()
    post, before = ada.write(), running.count("attachments")
    shutil.move(running.bucket, tmp_path / "away")
    try:
        assert bob.ask("POST", f"{post}/attachments", files={"file": b"x"})[0] == 500
    finally:
        shutil.move(tmp_path / "away", running.bucket)
    assert (running.count("attachments"), ada.notifications()) == (before, [])

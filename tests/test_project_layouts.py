"""Practice 1: the layouts hold the same code, run alone, leave nothing; what breaks is seen."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from helpers import needs_proc, no_leftovers
from structured import FOLDERS, LAYOUTS, PASSWORD, Site, site
from test_project_structure import check_deleted, check_posts, check_what_others_do

from lab_apps.instruments import postgres
from lab_apps.instruments.server import Process, serve
from lab_apps.practices import project_structure
from lab_apps.practices.project_structure.by_domain.posts import (
    dependencies as by_domain_dependencies,
)
from lab_apps.practices.project_structure.by_domain.posts import service as by_domain_service
from lab_apps.practices.project_structure.by_type.dependencies import posts as by_type_dependencies
from lab_apps.practices.project_structure.by_type.services import posts as by_type_service

PACKAGE = "lab_apps.practices.project_structure"
KINDS = {"router": "routers", "service": "services", "client": "clients"}
needs_postgres = pytest.mark.skipif(bool(postgres.why_not()), reason=postgres.why_not())


@pytest.fixture(scope="module", autouse=True)
def _database() -> Iterator[None]:
    yield
    postgres.stop()


def by_type_path(path: Path) -> Path:
    """Where a module of the layout by domain stands in the other one."""
    if len(path.parts) == 1:
        return Path("exceptions/base.py") if path.stem == "exceptions" else path
    domain = "storage" if path.parts[0] == "aws" else path.parts[0]
    return Path(KINDS.get(path.stem, path.stem), f"{domain}.py")


def modules(folder: Path) -> set[Path]:
    """The modules of a layout; a package's own says only what is in it."""
    found = {path.relative_to(folder) for path in folder.rglob("*.py")}
    return {path for path in found if path.name != "__init__.py"}


def without_imports(source: str) -> list[str]:
    """The module's lines, but for its imports and the empty ones."""
    lines: list[str] = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            assert node.end_lineno is not None
            for number in range(node.lineno - 1, node.end_lineno):
                lines[number] = ""
    return [line for line in lines if line]


def bound(source: str) -> set[str]:
    """The names that the module's imports bind."""
    found = ast.walk(ast.parse(source))
    nodes = [node for node in found if isinstance(node, ast.Import | ast.ImportFrom)]
    return {alias.asname or alias.name for node in nodes for alias in node.names}


def check_same(one: Path, other: Path) -> None:
    """Module for module, the same names are imported and the same lines follow."""
    assert {by_type_path(path) for path in modules(one)} == modules(other)
    for path in sorted(modules(one)):
        sources = [(one / path).read_text(), (other / by_type_path(path)).read_text()]
        assert bound(sources[0]) == bound(sources[1]), path
        assert without_imports(sources[0]) == without_imports(sources[1]), path


def test_same_code_in_other_folders() -> None:
    check_same(FOLDERS["by_domain"], FOLDERS["by_type"])


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("routers/posts.py", "status_code=204", "status_code=200"),
        ("services/posts.py", "# last: ", "# "),
        ("models/auth.py", "UNIQUE", ""),
        ("services/posts.py", "posts as constants", "posts as fixed"),
        ("main.py", "posts_router.router, ", ""),
        ("services/more.py", "", "MORE = 1\n"),
        ("dependencies/storage.py", None, None),
    ],
)
def test_check_sees_drift(tmp_path: Path, path: str, old: str | None, new: str | None) -> None:
    copied = shutil.copytree(FOLDERS["by_type"], tmp_path / "by_type")
    check_same(FOLDERS["by_domain"], copied)
    file = copied / path
    if old is None or new is None:
        file.unlink()
    else:
        before = file.read_text() if file.exists() else ""
        assert old in before
        file.write_text(before.replace(old, new, 1) if old else before + new)
    with pytest.raises(AssertionError):
        check_same(FOLDERS["by_domain"], copied)


async def nothing(*_: Any, **__: Any) -> None:
    """In place of what should be done."""


def unguarded(app: FastAPI, _: pytest.MonkeyPatch) -> None:
    for one in (by_domain_dependencies, by_type_dependencies):
        app.dependency_overrides[one.owned_post] = one.valid_post_id


def telling_nobody(_: FastAPI, patch: pytest.MonkeyPatch) -> None:
    for service in (by_domain_service, by_type_service):
        patch.setattr(service.notifications_service, "notify", nothing)


def keeping_files(_: FastAPI, patch: pytest.MonkeyPatch) -> None:
    for service in (by_domain_service, by_type_service):
        patch.setattr(service.storage_client.Client, "delete", nothing)


def leaving_posts(_: FastAPI, patch: pytest.MonkeyPatch) -> None:
    for service in (by_domain_service, by_type_service):
        patch.setattr(service, "delete", nothing)


@needs_postgres
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (unguarded, check_posts),
        (leaving_posts, check_posts),
        (telling_nobody, check_what_others_do),
        (telling_nobody, check_deleted),
        (keeping_files, check_deleted),
    ],
)
def test_contract_sees_broken_apps(
    layout: str,
    broken: Callable[[FastAPI, pytest.MonkeyPatch], None],
    check: Callable[[Site], None],
    tmp_path: Path,
) -> None:
    with site(layout, tmp_path) as running, pytest.MonkeyPatch.context() as patch:
        broken(running.app, patch)
        with pytest.raises(AssertionError):
            check(running)


@needs_postgres
@pytest.mark.parametrize("name", [f"{PACKAGE}.{layout}.main:app" for layout in LAYOUTS])
def test_runs_alone(name: str, tmp_path: Path) -> None:
    """By its name, the url from the environment; the tables are there from then on."""
    with postgres.database().schema() as schema:
        settings = {"LAB_DATABASE_URL": schema.url, "LAB_BUCKET_FOLDER": str(tmp_path / "new")}
        with Process(settings) as home:
            for status in (201, 409):
                with serve(name, where=home) as server:
                    account = {"email": "ada@example.org", "password": PASSWORD}
                    assert (
                        httpx.post(f"{server.url}/auth/users", json=account).status_code == status
                    )
        assert (tmp_path / "new").is_dir()


@needs_postgres
def test_layouts_share_a_database_and_start_together() -> None:
    """The tables are the same, and made once where several come to them."""
    with postgres.database().schema() as schema, ThreadPoolExecutor() as pool:

        def start(layout: str) -> int:
            with serve(LAYOUTS[layout].create_app(schema.url)) as server:
                account = {"email": "ada@example.org", "password": PASSWORD}
                return httpx.post(f"{server.url}/auth/users", json=account).status_code

        assert sorted(pool.map(start, [*LAYOUTS] * 2)) == [201, 409, 409, 409]
        with psycopg.connect(schema.url) as db:
            count = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()"
            assert db.execute(count).fetchone() == (5,)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_without_an_address_it_says_so(layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAB_DATABASE_URL", raising=False)
    with (
        pytest.raises(RuntimeError, match="LAB_DATABASE_URL is not set"),
        serve(LAYOUTS[layout].create_app()),
    ):
        pass


@needs_proc
@needs_postgres
@pytest.mark.parametrize("layout", LAYOUTS)
def test_leaves_nothing(layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither threads nor connections, nor the temporary folder that stands for the bucket."""

    def use() -> None:
        with postgres.database().schema() as schema:
            app = LAYOUTS[layout].create_app(schema.url)
            with serve(app):
                assert len([*tmp_path.iterdir()]) == 1

    monkeypatch.delenv("LAB_BUCKET_FOLDER", raising=False)
    postgres.database()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    use()  # the first loop of uvloop keeps a pipe
    with no_leftovers():
        use()
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("imported", "absent"),
    [("", "by_domain by_type"), (".by_type.main", "by_domain"), (".by_domain.main", "by_type")],
)
def test_a_layout_imports_nothing_of_the_other(imported: str, absent: str) -> None:
    code = f"import sys, {PACKAGE}{imported}; print(*(name.split('.')[3] for name in sys.modules"
    code += f" if name.startswith('{PACKAGE}.')))"
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={})
    assert not {*absent.split()} & {*done.stdout.split()}
    assert bool(imported) == bool(done.stdout.split())


def test_the_app_of_the_package_is_that_of_a_layout() -> None:
    assert project_structure.app is LAYOUTS["by_domain"].app
    with pytest.raises(AttributeError, match="no attribute 'apps'"):
        project_structure.apps  # noqa: B018

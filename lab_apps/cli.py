"""The command `lab`; `python -m lab_apps` is the same.

A wrong call ends with one line on stderr, what was wrong and what to do, and exit status 2.
What a command needs is imported when it is called, so that `lab --help` answers at once.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import errno
import importlib
import importlib.metadata
import importlib.util
import json
import math
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from lab_apps.instruments import profile
from lab_apps.report.files import CannotRun, Checkout, choose, two_digits

ROOT = Path(__file__).parents[1]
HOST = "127.0.0.1"
CELL_TIMEOUT_S = {"quick": 300, "full": 3600}

MAX_USERS = 1000
MAX_RATE = 20_000
MAX_SECONDS = 3600
MAX_SEED = 2**32 - 1

Call = Callable[[argparse.Namespace, Checkout], int]


def main(argv: list[str] | None = None, *, root: Path = ROOT) -> int:
    """Run the command and return its exit status.

    0 done · 1 a notebook or a check failed · 2 it could not be done as asked · 130 interrupted.
    `root` is the checkout whose notebooks are run.
    """
    parser = _parser()
    try:
        args = parser.parse_args(argv)
    except SystemExit as end:  # --help, --version, or an error that has been printed
        return int(end.code or 0)
    if args.command is None:
        parser.print_help()
        return 0
    try:
        call: Call = args.call
        return call(args, Checkout(root))
    except CannotRun as error:
        print(f"lab {args.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        new_line = "\n" if sys.stderr.isatty() else ""  # after the terminal's own ^C
        print(f"{new_line}lab {args.command}: interrupted", file=sys.stderr)
        return 130


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {' '.join(message.split())}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="lab", description="FastAPI Best Practices, measured.")
    version = importlib.metadata.version("fastapi-practices-lab")
    parser.add_argument("--version", action="version", version=f"lab {version}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    def command(name: str, call: Call, what: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=what, description=what)
        added.set_defaults(call=call)
        return added

    run = command("run", _run, "run the notebooks and write the report")
    run.add_argument("--only", metavar="05,00", help="some of them, by number or name")
    run.add_argument("--profile", choices=profile.NAMES, help="quick unless LAB_PROFILE says full")
    run.add_argument("--out", type=Path, metavar="DIR", help="the report's folder; report/")
    run.add_argument(
        "--refresh", action="store_true", help="and store what came of it in notebooks/ and data/"
    )

    report = command("report", _report, "write the report of the last run again")
    report.add_argument("--out", type=Path, metavar="DIR", help="the report's folder; report/")

    serve = command("serve", _serve, f"serve a practice's app on {HOST} until Ctrl-C")
    serve.add_argument("number", metavar="NUMBER", help="05, for instance; 00 is for calibration")
    serve.add_argument(
        "--port", type=_whole(0, 65535), default=8000, help="8000; 0 takes any free one"
    )

    command("doctor", _doctor, "check that everything is here that the lab needs")

    load = command(
        "load", _load, "send load to a server on this machine; answers other than 200 are errors"
    )
    load.add_argument("url", metavar="URL", help="http://127.0.0.1:8000/good-ping, for instance")
    how = load.add_mutually_exclusive_group(required=True)
    how.add_argument(
        "--users", type=_whole(1, MAX_USERS), metavar="N", help="each sends when answered"
    )
    how.add_argument(
        "--rate", type=_positive(MAX_RATE), metavar="R", help="random arrivals, R per second"
    )
    load.add_argument("--seconds", type=_positive(MAX_SECONDS), metavar="S", required=True)
    load.add_argument("--json", action="store_true", help="one JSON object instead of a table")

    structure = command(
        "structure",
        _structure,
        "folders that a repository's commits touch by domain and by file type; nothing is sent",
    )
    structure.add_argument("repository", type=Path, metavar="REPOSITORY", help="its folder")
    structure.add_argument(
        "--rule",
        action="append",
        required=True,
        metavar="TEMPLATE",
        help="src/{domain}/{kind}.py, for instance: * is any name, ** any folders, {kind:a|b} one"
        " of these; may be repeated, the first that matches a path counts",
    )
    structure.add_argument("--output", type=Path, metavar="PICTURE.png", help="draw it as well")
    structure.add_argument("--seed", type=_whole(0, MAX_SEED), default=1, help="of the shuffles; 1")
    return parser


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if text.strip().removeprefix("-").isdecimal() and low <= int(text) <= high:
            return int(text)
        raise argparse.ArgumentTypeError(
            f"must be a whole number from {low} to {high}, not {text!r}"
        )

    return parse


def _positive(high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if 0 < value <= high:
            return value
        raise argparse.ArgumentTypeError(
            f"must be a number greater than 0 and at most {high:g}, not {text!r}"
        )

    return parse


def _run(args: argparse.Namespace, checkout: Checkout) -> int:
    from lab_apps.instruments import results
    from lab_apps.report import execution, refresh, site
    from lab_apps.report.progress import ProgressLine

    name = _profile(args)
    paths = choose(checkout.notebooks, args.only)
    for path in paths:
        execution.read(path)  # a broken one is found before the others have taken minutes
    out = args.out or checkout.root / "report"
    site.prepare(out)
    run_file = checkout.new_run_file(name)
    env = {"LAB_RUN_FILE": str(run_file.resolve()), "LAB_PROFILE": name}
    executed = []
    for path in paths:
        line = ProgressLine(path.stem, sys.stdout)
        done = execution.execute(
            path, env=env, cell_timeout_s=CELL_TIMEOUT_S[name], progress=line.show
        )
        if args.refresh and not done.failure:
            done = dataclasses.replace(done, failure=refresh.why_not(done))
        line.end("failed" if done.failure else f"done in {done.seconds:.0f} s")
        executed.append(done)
    failed = [one for one in executed if one.failure]
    entries = results.read(run_file) if run_file.exists() else []
    try:
        if args.refresh and not failed:
            refresh.store(checkout, executed, entries, some=args.only is not None)
        front = site.build(out, executed, entries, checkout.notebooks)
    except OSError as error:
        raise CannotRun(f"can't write the results ({error}): free space, or --out DIR") from None
    print(f"\n{site.table(entries)}\n\nreport: {_shown(front)}")
    unstored = "; nothing was stored" if args.refresh else ""
    for one in failed:
        print(f"lab run: {one.name}, {one.failure}{unstored}", file=sys.stderr)
    return 1 if failed else 0


def _profile(args: argparse.Namespace) -> str:
    if args.refresh:
        if args.profile == "full":
            raise CannotRun("--refresh stores the quick profile: leave --profile full out")
        return "quick"
    try:
        return str(args.profile or profile.name())
    except ValueError as error:
        raise CannotRun(str(error)) from None


def _report(args: argparse.Namespace, checkout: Checkout) -> int:
    from lab_apps.report import site

    out = args.out or checkout.root / "report"
    front = site.build(out, *site.load(out), checkout.notebooks)
    print(f"report: {_shown(front)}")
    return 0


def _shown(path: Path) -> str:
    return os.path.relpath(path) if path.resolve().is_relative_to(Path.cwd()) else str(path)


def _serve(args: argparse.Namespace, checkout: Checkout) -> int:
    import uvicorn

    served = _served(checkout)
    target = served.get(two_digits(args.number))
    if target is None:
        raise CannotRun(f"no practice {args.number!r} to serve: there is {', '.join(served)}")
    package, _, name = target.partition(":")
    module = importlib.import_module(package)
    made = getattr(module, name)
    app = made() if name == "create_app" else made
    with _bound(args.port) as sock, _database(getattr(module, "DATABASE_URL", "")):
        port = sock.getsockname()[1]
        paths = app.openapi()["paths"]  # app.routes has included routers as one entry each
        for path, operations in paths.items():
            for method, operation in operations.items():
                said = operation.get("description", "").partition("\n")[0]
                print(f"{method.upper():<6} {path:<24} {said}".rstrip())
        to_get = (path for path in paths if "get" in paths[path] and "{" not in path)
        first = next(to_get, "/openapi.json")
        print(f"\ncurl http://{HOST}:{port}{first}\n\n{target}, until Ctrl-C", flush=True)
        try:
            uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[sock])
        except KeyboardInterrupt:
            return 0
    return 0


def _served(checkout: Checkout) -> dict[str, str]:
    """The apps by number, as module:name: a practice's module is named as its notebook."""
    served = {"00": "lab_apps.instruments.calibration:create_app"}
    for path in sorted(checkout.notebooks.glob("[0-9][0-9]_*.ipynb")):
        number, _, name = path.stem.partition("_")
        if importlib.util.find_spec(f"lab_apps.practices.{name}"):
            served[number] = f"lab_apps.practices.{name}:app"
    return served


@contextlib.contextmanager
def _database(variable: str) -> Iterator[None]:
    """A Postgres while the block runs, its url in the environment, if the app reads one there."""
    if not variable or os.environ.get(variable):
        yield
        return
    from lab_apps.instruments import postgres

    try:
        os.environ[variable] = postgres.database().url
        yield
    except postgres.PostgresError as error:
        raise CannotRun(str(error)) from None
    finally:
        os.environ.pop(variable, None)
        postgres.stop()


def _bound(port: int) -> socket.socket:
    """A listening socket on this port of 127.0.0.1."""
    from lab_apps.instruments.server import listener

    try:
        sock = listener(port)
        try:
            sock.listen()  # two may bind with SO_REUSEADDR, but only one may listen
        except OSError:
            sock.close()
            raise
    except OSError as error:
        why = "is taken" if error.errno == errno.EADDRINUSE else f"can't be had ({error.strerror})"
        raise CannotRun(f"port {port} {why}: choose another, --port 0 takes a free one") from None
    return sock


def _doctor(_args: argparse.Namespace, checkout: Checkout) -> int:
    from lab_apps.doctor import examine

    failed = False
    for state, text in examine(checkout):
        print(f"{state:<4} {text}", flush=True)
        failed |= state == "FAIL"
    return int(failed)


def _load(args: argparse.Namespace, _checkout: Checkout) -> int:
    from lab_apps import loadtest

    summary = loadtest.measure(args.url, args.users, args.rate, args.seconds)
    if args.json:
        print(json.dumps(summary, allow_nan=False))
        return 0
    print(loadtest.readable(summary))
    if summary["errors"]:
        print(f"lab load: {summary['errors']} requests failed and are counted", file=sys.stderr)
    return 0


def _structure(args: argparse.Namespace, _checkout: Checkout) -> int:
    from lab_apps import structure

    print(structure.examine(args.repository, args.rule, args.output, args.seed))
    return 0

"""The command `lab`; `python -m lab_apps` is the same.

A wrong call ends with one line on stderr, what was wrong and what to do, and exit status 2.
What a command needs is imported when it is called, so that `lab --help` answers at once.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from lab_apps import arguments
from lab_apps.instruments import profile
from lab_apps.report.files import CannotRun, Checkout, choose

ROOT = Path(__file__).parents[1]
CELL_TIMEOUT_S = {"quick": 300, "full": 3600}

Call = Callable[[argparse.Namespace, Checkout], int]


def main(argv: list[str] | None = None, *, root: Path = ROOT) -> int:
    """Run the command and return its exit status.

    0 done · 1 a notebook or a check failed · 2 it could not be done as asked · 130 interrupted.
    `root` is the checkout whose notebooks are run.
    """
    parser = arguments.parser(CALLS)
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
    from lab_apps import serving

    serving.serve(checkout, args.number, args.port)
    return 0


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


CALLS: dict[str, Call] = {
    "run": _run,
    "report": _report,
    "serve": _serve,
    "doctor": _doctor,
    "load": _load,
    "structure": _structure,
}

"""The command's arguments: what may be said, and within which bounds."""

from __future__ import annotations

import argparse
import importlib.metadata
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn, TypeVar

from lab_apps.instruments import profile

HOST = "127.0.0.1"
MAX_USERS = 1000
MAX_RATE = 20_000
MAX_SECONDS = 3600
MAX_SEED = 2**32 - 1

Call = TypeVar("Call")


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {' '.join(message.split())}; see {self.prog} --help\n")


def parser(calls: Mapping[str, Call]) -> argparse.ArgumentParser:
    """The parser of `lab`; what it has parsed has the command's name and, as `call`, its call."""
    lab = _Parser(prog="lab", description="FastAPI Best Practices, measured.")
    version = importlib.metadata.version("fastapi-practices-lab")
    lab.add_argument("--version", action="version", version=f"lab {version}")
    commands = lab.add_subparsers(dest="command", metavar="COMMAND")

    def command(name: str, what: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=what, description=what)
        added.set_defaults(call=calls[name])
        return added

    run = command("run", "run the notebooks and write the report")
    run.add_argument("--only", metavar="05,00", help="some of them, by number or name")
    run.add_argument("--profile", choices=profile.NAMES, help="quick unless LAB_PROFILE says full")
    run.add_argument("--out", type=Path, metavar="DIR", help="the report's folder; report/")
    run.add_argument(
        "--refresh", action="store_true", help="and store what came of it in notebooks/ and data/"
    )

    report = command("report", "write the report of the last run again")
    report.add_argument("--out", type=Path, metavar="DIR", help="the report's folder; report/")

    serve = command("serve", f"serve a practice's app on {HOST} until Ctrl-C")
    serve.add_argument("number", metavar="NUMBER", help="05, for instance; 00 is for calibration")
    serve.add_argument(
        "--port", type=_whole(0, 65535), default=8000, help="8000; 0 takes any free one"
    )

    command("doctor", "check that everything is here that the lab needs")

    load = command(
        "load", "send load to a server on this machine; answers other than 200 are errors"
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
    return lab


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

"""`lab run`, `lab report` and `--refresh`, on small notebooks of their own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from helpers import children, needs_proc, runs, wait_until

from lab_apps.cli import main
from lab_apps.instruments import claims, results
from lab_apps.report import execution
from lab_apps.report.files import CannotRun, choose, write
from lab_apps.report.progress import ProgressLine

ALT = 'A "line" <up> & on'
FIGURE = f"""from lab_apps.instruments import plots
fig = plots.figure(3, 2)
_ = fig.subplots().plot([1, 2])
plots.show(fig, title="It rises", caption="n = 2", alt={ALT!r})"""
VERDICTS = """from lab_apps.instruments.claims import Verdict
from lab_apps.instruments.results import conclude
conclude(Verdict("5.2", "Of `a`, <b>", "ratio", "inconclusive", "no time", {}, 3.0, float("nan")))
conclude(Verdict("5.1", "An exact one", "exact", "refuted", "declared were 2", {"count": 1}))
conclude(Verdict("5.10", "A ratio", "ratio", "supported", "a/b > 3", {}, 3, 9.5, (8, 11), 9, 1))"""
PROGRESS = """from lab_apps.instruments.notebook import Progress
with Progress("rounds", 2) as progress:
    progress.step()
    progress.step()"""
ENVIRONMENT = """import os, pathlib, sys
print(sys.executable, pathlib.Path.cwd().name, os.environ["LAB_PROFILE"])"""
LINKS = """[a](00_first.ipynb#Part), [b](./index.ipynb), [c](12_later.ipynb), [d](https://example.org)

![stored](../data/reference/05_links.png)"""
STALE = "left from an earlier run"


def code(source: str, *tags: str) -> dict[str, Any]:
    """A code cell that holds what an earlier run left."""
    return {
        "cell_type": "code",
        "execution_count": 7,
        "metadata": {"execution": {"iopub.status.busy": "2026-01-01"}, "tags": list(tags)},
        "outputs": [{"output_type": "stream", "name": "stdout", "text": STALE}],
        "source": source,
    }


def prose(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def scratch(root: Path, **notebooks: list[dict[str, Any]]) -> Path:
    """A checkout with these notebooks ("n05_x" is 05_x), each with a heading of its name."""
    for name, cells in notebooks.items():
        cells = [prose(f"# {name}"), *cells]
        content = {
            "cells": [{**cell, "id": f"cell-{number}"} for number, cell in enumerate(cells)],
            "metadata": {},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        write(root / "notebooks" / f"{name.removeprefix('n')}.ipynb", json.dumps(content))
    return root


@dataclass(frozen=True)
class Run:
    """What one call of `lab` came to."""

    root: Path
    status: int
    out: str
    err: str

    @property
    def report(self) -> Path:
        return self.root / "report"


def lab(root: Path, *args: str) -> Run:
    """Call `lab` and keep what it said."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        status = main(list(args), root=root)
    return Run(root, status, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def hostile_environment(home: Path) -> Iterator[pytest.MonkeyPatch]:
    """A user whose python3 kernel, IPython start-up and temporary folder would all spoil a run."""
    spec = {"argv": ["/bin/false"], "display_name": "mine", "language": "python"}
    write(home / "kernels/python3/kernel.json", json.dumps(spec))
    write(home / "profile_default/startup/00.py", "raise SystemExit('start-up file was read')")
    (home / ("x" * 90)).mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(home))
        patch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
        patch.setenv("IPYTHONDIR", str(home))
        patch.setattr(tempfile, "tempdir", str(home / ("x" * 90)))
        yield patch


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run in which three notebooks fail and two don't."""
    root = scratch(
        tmp_path_factory.mktemp("run"),
        n00_first=[code("1 + 1"), code("raise ValueError('one\\ntwo <b>')"), code("'not reached'")],
        n05_links=[
            prose(LINKS),
            *(code(FIGURE, "headline"), code(PROGRESS), code(VERDICTS), code(ENVIRONMENT)),
            *(code("1 / 0", "raises-exception"), code("import sys; print('x', file=sys.stderr)")),
        ],
        n07_dies=[code("import os; os._exit(1)"), code("'not reached'")],
        nindex=[code("print(len(open(__import__('os').environ['LAB_RUN_FILE']).readlines()))")],
    )
    png = b"\x89PNG stored"
    write(root / "data/reference/05_links.png", png)
    claim = claims.Claim("5.3", "exact", "Never judged", "-", expected={"a": 1})
    elsewhere = claims.Claim("9.1", "exact", "Not of these notebooks", "-", expected={"a": 1})
    with hostile_environment(tmp_path_factory.mktemp("home")) as patch:
        patch.setattr(claims, "load", lambda: {claim.id: claim, elsewhere.id: elsewhere})
        return lab(root, "run")


def test_status_and_a_line_for_each_failed_notebook(run: Run) -> None:
    assert run.status == 1
    assert run.err.splitlines() == [
        "lab run: 00_first, cell In [2]: ValueError: one two <b>",
        "lab run: 07_dies, cell In [1]: the kernel died",
    ]


def test_plain_progress_table_and_place_of_the_report(run: Run) -> None:
    lines = run.out.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["00_first", "05_links", "07_dies", "index"]
    assert re.search(r"done in \d+ s$", lines[1])
    assert lines[5].split() == ["claim", "verdict", "measured", "rounds"]
    assert [line.split()[:2] for line in lines[6:9]] == [
        ["5.1", "refuted"],
        ["5.2", "inconclusive"],
        ["5.10", "supported"],
    ]
    assert lines[-1].startswith("report: ")
    assert lines[-1].endswith("report/index.html")
    assert "\r" not in run.out


def test_only_this_runs_outputs_are_shown(run: Run) -> None:
    for path in run.report.glob("notebooks/*.ipynb"):
        assert STALE not in path.read_text()
        assert "2026-01-01" not in path.read_text()
    first = execution.read(run.report / "notebooks/00_first.ipynb")
    assert [cell.get("execution_count") for cell in first.cells] == [None, 1, 2, None]
    assert first.cells[-1].outputs == []


def test_failure_is_shown_where_it_happened_and_on_the_front(run: Run) -> None:
    first = execution.read(run.report / "notebooks/00_first.ipynb")
    assert first.cells[2].outputs[0].ename == "ValueError"
    dead = execution.read(run.report / "notebooks/07_dies.ipynb")
    assert dead.cells[1].outputs[-1].evalue == "the kernel died"
    front = (run.report / "index.html").read_text()
    assert front.index("ValueError: one two &lt;b&gt;") < front.index("Scorecard")
    assert "the kernel died" in (run.report / "07_dies.html").read_text()


def test_kernel_is_this_python_in_the_notebooks_folder(run: Run) -> None:
    links = execution.read(run.report / "notebooks/05_links.ipynb")
    assert links.cells[5].outputs[0].text == f"{sys.executable} notebooks quick\n"


def test_metadata_is_stable_and_progress_keeps_its_last_state(run: Run) -> None:
    links = execution.read(run.report / "notebooks/05_links.ipynb")
    assert links.metadata.kernelspec.name == "python3"
    assert "version" not in links.metadata.language_info
    assert re.fullmatch(r"rounds 2/2, 0 s *\n", links.cells[3].outputs[0].text)


def test_index_runs_last_and_sees_the_verdicts(run: Run) -> None:
    index = execution.read(run.report / "notebooks/index.ipynb")
    assert index.cells[1].outputs[0].text == "3\n"
    assert [path.name for path in run.report.glob("index*.html")] != ["index.html"]


def test_scorecard_is_valid_json(run: Run) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    text = (run.report / "scorecard.json").read_text()
    card = json.loads(text, parse_constant=refuse)
    assert card["schema"] == 1
    assert [(claim["id"], claim["verdict"]) for claim in card["claims"]] == [
        ("5.1", "refuted"),
        ("5.2", "inconclusive"),
        ("5.10", "supported"),
    ]
    assert card["claims"][1]["ratio"] is None
    assert card["claims"][0]["versions"]["fastapi"]
    [run_file] = (run.root / "data/runs").iterdir()
    assert re.fullmatch(r"\d{8}T\d{6}Z_quick\.jsonl", run_file.name)


class Page(HTMLParser):
    """What a page would load from elsewhere, and what a screen reader needs."""

    VOID = ("http:", "https:", "//")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.outside: list[str] = []
        self.images: list[dict[str, str]] = []
        self.links: list[str] = []
        self.headings: list[int] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        self.inside = tag
        self.tags.append((tag, named))
        for name in ("src", "srcset", "data", "poster", "href", "xlink:href", "action"):
            if tag != "a" and named.get(name, "").strip().lower().startswith(self.VOID):
                self.outside.append(f"{tag} {named[name]}")
        self.outside += self._in_style(named.get("style", ""))
        if tag == "img":
            self.images.append(named)
        if tag == "a" and "href" in named:
            self.links.append(named["href"])
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))

    handle_startendtag = handle_starttag

    def handle_data(self, data: str) -> None:
        if self.inside == "style":
            self.outside += self._in_style(data)
        if self.inside == "script":
            self.outside += re.findall(r"""["'](?:https?:)?//[^"']+""", data)

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def _in_style(self, css: str) -> list[str]:
        css = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
        loaded = re.findall(r"url\(\s*[\"']?([^\"')]+)|@import\s+[\"']([^\"']+)", css)
        return [a or b for a, b in loaded if (a or b).strip().lower().startswith(self.VOID)]


def test_pages_load_nothing_from_elsewhere(run: Run) -> None:
    pages = sorted(run.report.glob("*.html"))
    assert len(pages) == 5
    for path in pages:
        page = Page(path.read_text())
        assert page.outside == []
        assert all(image["src"].startswith("data:image/") for image in page.images)


@pytest.mark.parametrize(
    "loads",
    [
        '<script src="https://cdn.example/require.js"></script>',
        '<link rel="stylesheet" href="//cdn.example/a.css">',
        '<img src="http://cdn.example/a.png" alt="">',
        "<style>@import 'https://cdn.example/a.css';</style>",
        "<style>p { background: url( 'https://cdn.example/a.png') }</style>",
        '<p style="background: url(https://cdn.example/a.png)">',
        "<script>import('https://cdn.example/mermaid.mjs')</script>",
    ],
)
def test_that_check_sees_what_it_is_for(run: Run, loads: str) -> None:
    html = (run.report / "05_links.html").read_text()
    assert len(Page(html.replace("</body>", f"{loads}</body>")).outside) == 1


def test_links_pictures_and_alternative_texts(run: Run) -> None:
    page = Page((run.report / "05_links.html").read_text())
    for link in ("00_first.html#Part", "index.html", "12_later.ipynb", "https://example.org"):
        assert link in page.links
    stored, shown = page.images
    assert stored["alt"] == "stored"
    assert stored["src"].startswith("data:image/png;base64,iVBORyBzdG9yZWQ") or (
        "data:image/png;base64," in stored["src"]
    )
    assert shown["alt"] == ALT
    front = Page((run.report / "index.html").read_text())
    assert [image["alt"] for image in front.images] == [ALT]
    assert {"00_first.html", "05_links.html", "07_dies.html", "index_notebook.html"} <= {
        *front.links
    }


def test_front_shows_verdicts_and_claims_without_one(run: Run) -> None:
    front = (run.report / "index.html").read_text()
    for text in (
        "Of <code>a</code>, &lt;b&gt;",
        "count = 1",
        "ratio 9.5 (8 to 11), θ = 3",
        "9 + 1 rejected",
        "Never judged",
        "no verdict",
        "not measurable here",
    ):
        assert text in front
    assert "Not of these notebooks" not in front
    assert "nan" not in re.sub(r"base64,[^\"]*", "", front)


def test_front_can_be_read_with_a_screen_reader(run: Run) -> None:
    page = Page((run.report / "index.html").read_text())
    tags = dict(page.tags)
    assert tags["html"]["lang"] == "en"
    assert page.headings[0] == 1
    assert page.headings.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(page.headings, page.headings[1:], strict=False))
    assert {attrs["scope"] for tag, attrs in page.tags if tag == "th"} == {"col", "row"}


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_colours_have_contrast_enough(run: Run) -> None:
    schemes = re.findall(r":root \{(.*?)\}", (run.report / "index.html").read_text(), re.DOTALL)
    assert len(schemes) == 2
    for scheme in schemes:
        colours = dict(re.findall(r"--(\w+): (#\w{6});", scheme))
        ground = luminance(colours.pop("ground"))
        del colours["line"]
        assert len(colours) == 7
        for colour in colours.values():
            light, dark = sorted([luminance(colour), ground], reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG 2.2, 1.4.3 (AA)


def test_report_is_rebuilt_without_running(run: Run) -> None:
    names = ["index.html", "05_links.html", "scorecard.json", "notebooks/07_dies.ipynb"]
    before = {name: (run.report / name).read_bytes() for name in names}
    (run.report / "05_links.html").unlink()
    (run.report / "scorecard.json").write_text("")
    claim = claims.Claim("5.3", "exact", "Never judged", "-", expected={"a": 1})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(claims, "load", lambda: {"5.3": claim})
        patch.setattr(execution, "execute", None)
        again = lab(run.root, "report")
    assert (again.status, again.err) == (0, "")
    assert {name: (run.report / name).read_bytes() for name in names} == before


@pytest.mark.parametrize("spoilt", ["notebooks/index.ipynb", "verdicts.jsonl"])
def test_report_of_a_damaged_run_is_refused(run: Run, spoilt: str) -> None:
    file = run.report / spoilt
    kept = file.read_bytes()
    file.write_bytes(b"{}\n")
    refused = lab(run.root, "report")
    file.write_bytes(kept)
    assert (refused.status, refused.err.count("\n")) == (2, 1)
    assert "lab run makes one" in refused.err


def test_next_run_leaves_nothing_of_the_last(tmp_path: Path) -> None:
    root = scratch(tmp_path, n00_first=[code("1")])
    assert lab(root, "run").status == 0
    (root / "notebooks/00_first.ipynb").unlink()
    scratch(root, n05_second=[])
    write(root / "report/mine.txt", "kept")
    done = lab(root, "run", "--profile", "full", "--only", "5")
    assert (done.status, done.err) == (0, "")
    assert "no verdicts" in done.out
    assert {path.name for path in done.report.iterdir()} == {
        *("index.html", "05_second.html", "scorecard.json", "verdicts.jsonl", "mine.txt"),
        "notebooks",
    }
    assert json.loads((done.report / "scorecard.json").read_text()) == {"schema": 1, "claims": []}
    assert list((root / "data/runs").iterdir()) == []


def tree(root: Path) -> dict[str, bytes]:
    folders = [root / "notebooks", root / "data/reference"]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def test_refresh_stores_the_same_bytes_when_nothing_changes(tmp_path: Path) -> None:
    root = scratch(
        tmp_path,
        n05_links=[code(FIGURE, "headline"), code(VERDICTS), code(PROGRESS), code("2 + 2")],
        nindex=[code("print('index')")],
    )
    other = {**json.loads(_recorded("9.1")), "outcome": "supported"}
    write(root / "data/reference/verdicts.jsonl", json.dumps(other) + "\n")
    first = lab(root, "run", "--refresh", "--only", "05")
    assert (first.status, first.err) == (0, "")
    stored = tree(root)
    assert set(stored) == {
        *("notebooks/05_links.ipynb", "notebooks/index.ipynb"),
        *("data/reference/05_links.png", "data/reference/verdicts.jsonl"),
    }
    assert stored["data/reference/05_links.png"].startswith(b"\x89PNG")
    verdicts = results.read(root / "data/reference/verdicts.jsonl")
    assert [entry["id"] for entry in verdicts] == ["5.1", "5.2", "5.10", "9.1"]
    assert verdicts[0]["machine"]["cores"]
    notebook = execution.read(root / "notebooks/05_links.ipynb")
    assert "lab" not in notebook.metadata
    assert [cell.id for cell in notebook.cells] == [f"cell-{number}" for number in range(5)]
    assert STALE.encode() in stored["notebooks/index.ipynb"]  # not asked for, not touched

    assert lab(root, "run", "--refresh", "--only", "05").status == 0
    again = tree(root)
    del stored["data/reference/verdicts.jsonl"], again["data/reference/verdicts.jsonl"]  # dated
    assert again == stored


def _recorded(claim: str) -> str:
    verdict = claims.Verdict(claim, "s", "exact", "refuted", "r", {"a": 1})
    entry = {"when": "2026-01-01", "profile": "quick", **verdict.__dict__}
    return json.dumps(entry)


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        (code("import warnings; warnings.warn('old')"), r"In \[1\] wrote to stderr: .*old"),
        (code("raise OSError('x')"), r"In \[1\]: OSError: x"),
        (code("1", "headline"), r"In \[1\] is tagged headline without a picture"),
    ],
    ids=["stderr", "exception", "no picture"],
)
def test_refresh_stores_nothing_unless_all_is_well(tmp_path: Path, cell: Any, says: str) -> None:
    root = scratch(tmp_path, n05_bad=[cell])
    before = tree(root)
    done = lab(root, "run", "--refresh")
    assert done.status == 1
    assert re.fullmatch(rf"lab run: 05_bad, cell {says}.*; nothing was stored\n", done.err)
    assert tree(root) == before
    assert (done.report / "05_bad.html").exists()


def test_a_cell_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    root = scratch(tmp_path, n05_slow=[code("import time; time.sleep(60)")])
    done = execution.execute(root / "notebooks/05_slow.ipynb", env={}, cell_timeout_s=1)
    assert done.failure == "cell In [1]: not done after 1 s"
    assert done.seconds < 10


def test_a_kernel_that_does_not_start_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    root = scratch(tmp_path, n05_any=[code("1")])
    done = execution.execute(root / "notebooks/05_any.ipynb", env={}, cell_timeout_s=5)
    assert done.failure.startswith("the kernel did not start: ")
    assert "\n" not in done.failure


@pytest.mark.parametrize("out", ["file", "file/report", "notebooks", "."])
def test_unusable_out_is_one_line(tmp_path: Path, out: str) -> None:
    root = scratch(tmp_path, n05_any=[code("1")])
    write(root / "file", "")
    before = tree(root)
    done = lab(root, "run", "--out", str(root / out))
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert "--out DIR" in done.err
    assert tree(root) == before


def test_other_things_that_cannot_be_run_are_one_line(tmp_path: Path) -> None:
    none = lab(tmp_path, "run")
    assert (none.status, none.err.count("\n")) == (2, 1)
    assert "make setup" in none.err

    root = scratch(tmp_path, n05_any=[code("1")])
    write(root / "data/runs", "a file")
    runs_are_a_file = lab(root, "run")
    assert (runs_are_a_file.status, runs_are_a_file.err.count("\n")) == (2, 1)
    assert "data/runs" in runs_are_a_file.err

    for damage in ("{", "[]", '{"cells": 1}', '{"nbformat": 4, "cells": []}', "\xff"):
        (root / "notebooks/05_any.ipynb").write_bytes(damage.encode("latin-1"))
        damaged = lab(root, "run")
        assert (damaged.status, damaged.err.count("\n")) == (2, 1)
        assert "05_any.ipynb is not a notebook" in damaged.err

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_PROFILE", "slow")
        profile = lab(root, "run")
    assert (profile.status, profile.err.count("\n")) == (2, 1)
    assert "'slow'" in profile.err


def test_notebooks_are_chosen_by_number_or_name(tmp_path: Path) -> None:
    scratch(tmp_path, n10_c=[], n05_b=[], nindex=[], n00_a=[])
    folder = tmp_path / "notebooks"

    def names(only: str | None) -> list[str]:
        return [path.stem for path in choose(folder, only)]

    assert names(None) == ["00_a", "05_b", "10_c", "index"]
    assert names("index, 5,00") == ["00_a", "05_b", "index"]
    assert names("10_c") == ["10_c"]
    with pytest.raises(CannotRun, match=r"'07'.*00, 05, 10, index"):
        choose(folder, "00,7")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_one_updated_line_on_a_terminal() -> None:
    line = ProgressLine("05_x", terminal := Terminal())
    line.show(1, 3, 0.0)
    line.show(2, 3, 1.6)
    line.end("done in 2 s")
    shown = terminal.getvalue()
    assert shown.count("\n") == 1
    last = [text.removeprefix("\x1b[K") for text in shown.split("\r")]
    assert [text.split(maxsplit=1)[1] for text in last[1:]] == [
        "cell 1 of 3, 0 s",
        "cell 2 of 3, 2 s",
        "done in 2 s\n",
    ]


def test_progress_elsewhere_is_a_line_every_ten_seconds() -> None:
    line = ProgressLine("05_x", log := io.StringIO())
    for seconds in range(25):
        line.show(2, 3, float(seconds))
    line.end("done in 25 s")
    assert [text.split(maxsplit=1)[1] for text in log.getvalue().splitlines()] == [
        "cell 2 of 3, 10 s",
        "cell 2 of 3, 20 s",
        "done in 25 s",
    ]


ENDLESS = """from lab_apps.instruments import load
from lab_apps.instruments.schedule import closed
from lab_apps.instruments.server import serve
from lab_apps.instruments.wire import Stream
with serve("lab_apps.instruments.calibration:create_app", where="process") as server:
    load.send(server.url, Stream("load", "/wait/10", closed(1, seconds=60)))"""


@needs_proc
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_survives_an_ended_run(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, how: signal.Signals
) -> None:
    """Not the kernel, nor the load worker and the server that a cell has started."""
    root = scratch(tmp_path, n05_endless=[code(ENDLESS)])
    command = "import sys, pathlib; from lab_apps.cli import main; "
    command += "sys.exit(main(['run'], root=pathlib.Path(sys.argv[1])))"
    going = subprocess.Popen(
        [sys.executable, "-c", command, str(root)],
        env={**os.environ, "TMPDIR": str(tmp_path_factory.mktemp("t"))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert wait_until(lambda: len(children(going.pid)) == 3, 20)
    mine = children(going.pid)
    going.send_signal(how)
    _, err = going.communicate(timeout=10)
    assert wait_until(lambda: not any(runs(pid) for pid in mine), 3)
    assert not (root / "report/index.html").exists()
    if how == signal.SIGINT:
        assert (going.returncode, err) == (130, "lab run: interrupted\n")

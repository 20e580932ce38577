"""The import graph: small packages in, known imports, forms and circles out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path

import grimp
import pytest

from lab_apps.instruments.import_graph import Import, ImportGraph, circles, import_graph

Make = Callable[..., ImportGraph]
NUMBERS = count()


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Modules by name, with an empty __init__.py in every folder that has none."""
    for name, source in files.items():
        file = folder / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)
    for inner in (folder, *(one for one in folder.rglob("*") if one.is_dir())):
        (inner / "__init__.py").touch()


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """The graph of a package of these modules; PKG in a source is its name."""

    def build(files: Mapping[str, str], name: str | None = None, **more: bool) -> ImportGraph:
        name = name or f"graphed{next(NUMBERS)}"
        write(tmp_path / name, {at: text.replace("PKG", name) for at, text in files.items()})
        with monkeypatch.context() as path:
            path.syspath_prepend(tmp_path)
            return import_graph(name, **more)

    return build


FORMS = {  # how a imports b, and if it takes a name and is in a function
    "from PKG import b": (False, False),
    "from PKG import b as other": (False, False),
    "from . import b": (False, False),
    "from . import b as other": (False, False),
    "import PKG.b": (False, False),
    "import PKG.b as other": (False, False),
    "from PKG import (\n    nothing,\n    b as other,\n)": (False, False),
    "from \\\n    PKG import b": (False, False),
    "from PKG.b import x": (True, False),
    "from PKG.b import x as y": (True, False),
    "from .b import x": (True, False),
    "from PKG.b import *": (True, False),
    "from PKG.b import (\n    x,\n)": (True, False),
    "try:\n    from PKG.b import x\nexcept ImportError:\n    x = 0": (True, False),
    "if True:\n    import PKG.b": (False, False),
    "class C:\n    import PKG.b": (False, False),
    "def f():\n    from PKG.b import x": (True, True),
    "def f(): import PKG.b": (False, True),
    "async def f():\n    if True:\n        from . import b": (False, True),
    "class C:\n    def f(self):\n        from .b import x": (True, True),
}


@pytest.mark.parametrize("source", FORMS)
def test_how_it_is_written(make: Make, source: str) -> None:
    graph = make({"a": source, "b": "x = 1"})
    assert [one for one in graph.imports if one.imported == "b"] == [
        Import("a", "b", *FORMS[source])
    ]
    assert graph.modules == ("a", "b")


@pytest.mark.parametrize(
    "source", ["from PKG.b import x; from PKG import c", "from PKG import c; from PKG.b import x"]
)
def test_two_on_one_line(make: Make, source: str) -> None:
    graph = make({"a": source, "b": "x = 1", "c": ""})
    assert graph.imports == (Import("a", "b", True, False), Import("a", "c", False, False))


def test_name_like_its_module(make: Make) -> None:
    graph = make({"a": "from PKG.posts import posts", "posts/posts": ""})
    assert graph.imports == (Import("a", "posts.posts", False, False),)


def test_relative_in_folders(make: Make) -> None:
    graph = make(
        {
            "posts/__init__": "from .. import b",
            "posts/a": "from ..b import x\nfrom . import c",
            "posts/c": "",
            "b": "x = 1",
        }
    )
    assert graph.imports == (
        Import("posts", "b", False, False),
        Import("posts.a", "b", True, False),
        Import("posts.a", "posts.c", False, False),
    )


@pytest.mark.parametrize("guard", ["TYPE_CHECKING", "typing.TYPE_CHECKING"])
def test_for_type_checkers_is_left_out_unless_asked_for(make: Make, guard: str) -> None:
    source = (
        f"import typing\nfrom typing import TYPE_CHECKING\nif {guard}:\n    from . import b\n"
        "else:\n    from . import c"
    )
    files = {"a": source, "b": "", "c": ""}
    runs, never = (Import("a", other, False, False) for other in ("c", "b"))
    assert make(files).imports == (runs,)
    assert make(files, type_checking=True).imports == (never, runs)


def test_what_no_graph_sees(make: Make) -> None:
    source = "import importlib\nimportlib.import_module('PKG.b')\n__import__('PKG.b')\n"
    assert make({"a": source, "b": ""}).imports == ()


def first(module: str) -> str:
    """The domain of a module in a layout by domain."""
    return module.partition(".")[0]


def test_across_domains(make: Make) -> None:
    graph = make(
        {
            "auth/service": "from . import models",
            "auth/models": "",
            "posts/service": "from PKG.auth import service, models\nfrom PKG.auth.models import x",
            "posts/router": "from PKG.auth import models\nfrom . import service",
        }
    )
    assert graph.edges(first) == {("posts", "auth"): 4}
    assert sum(one.name for one in graph.across(first)) == 1
    assert graph.circles(first) == []


def test_circle_of_domains_without_one_of_modules(make: Make) -> None:
    graph = make(
        {
            "auth/a": "from PKG.posts import b",
            "auth/c": "",
            "posts/b": "",
            "posts/d": "from PKG.auth import c",
        }
    )
    assert graph.circles() == []
    assert graph.circles(first) == [frozenset({"auth", "posts"})]


def test_circle_through_a_parent_is_one_of_domains_alone(make: Make, tmp_path: Path) -> None:
    """An import runs the __init__ of each folder above, of which grimp has no edge."""
    files = {
        "auth/__init__": "from .service import login",
        "auth/service": "from passed_on.posts.constants import X\ndef login(): return X",
        "posts/__init__": "from .service import post",
        "posts/service": "from passed_on.auth import login\ndef post(): return login",
        "posts/constants": "X = 1",
    }
    write(tmp_path / "passed_on", files)
    done = subprocess.run(
        [sys.executable, "-c", "import passed_on.auth"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "circular import" in done.stderr
    graph = make({name: source.replace("passed_on", "PKG") for name, source in files.items()})
    assert graph.circles() == []
    assert graph.circles(first) == [frozenset({"auth", "posts"})]


def test_circles_of_two_and_three_and_lazy(make: Make) -> None:
    graph = make(
        {
            "a/m": "from PKG.b import m",
            "b/m": "def f():\n    from PKG.a import m",
            "c/m": "from PKG.d import m",
            "d/m": "from PKG.e import m",
            "e/m": "from PKG.c import m\nfrom PKG.a import m as a",
        }
    )
    assert graph.circles(first) == [frozenset("cde"), frozenset("ab")]
    assert graph.circles(first, lazy=False) == [frozenset("cde")]
    assert graph.circles() == [frozenset({"c.m", "d.m", "e.m"}), frozenset({"a.m", "b.m"})]


def test_circles_of_edges() -> None:
    assert (
        circles([]) == circles([("a", "a")]) == circles([("a", "b"), ("b", "c"), ("a", "c")]) == []
    )
    figure_of_eight = [("a", "b"), ("b", "a"), ("b", "c"), ("c", "b")]
    assert circles(figure_of_eight) == [frozenset("abc")]
    assert circles([*figure_of_eight[:2], ("b", "c"), ("c", "d"), ("d", "c")]) == [
        frozenset("ab"),
        frozenset("cd"),
    ]


def test_another_package_of_the_same_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It's read anew: the first has the import at another line, and written otherwise."""
    for folder, source, name in (
        ("one", "from . import b", False),
        ("two", "\n\nfrom .b import x", True),
        ("three", "from .b import x", True),
    ):
        write(tmp_path / folder / "twice", {"a": source, "b": "x = 1"})
        with monkeypatch.context() as path:
            path.syspath_prepend(tmp_path / folder)
            assert import_graph("twice").imports == (Import("a", "b", name, False),)


def test_warnings_of_the_source_are_its_own(make: Make) -> None:
    graph = make({"a": "from . import b\nx = '\\d'", "b": ""})
    assert graph.imports == (Import("a", "b", False, False),)


@pytest.mark.parametrize("package", ["fastapi", "starlette", "jupyter_server", "procrastinate"])
def test_every_import_of_installed_packages_is_found(package: str) -> None:
    """As many pairs as grimp has, none without a form."""
    graph = grimp.build_graph(package, exclude_type_checking_imports=True, cache_dir=None)
    pairs = {(a, b) for a in graph.modules for b in graph.find_modules_directly_imported_by(a)}
    seen = {(one.importer, one.imported) for one in import_graph(package).imports}
    assert len(seen) == len(pairs) > 100


@pytest.mark.parametrize("name", ["no_such_package", "sys", "lab_apps.no_such"])
def test_no_package(name: str) -> None:
    with pytest.raises(ModuleNotFoundError) as caught:
        import_graph(name)
    assert "\n" not in str(caught.value)
    assert repr(name) in str(caught.value)


def test_syntax_error(make: Make) -> None:
    with pytest.raises(SyntaxError) as caught:
        make({"a": "def (:"})
    assert "\n" not in str(caught.value)
    assert "a.py, line 1" in str(caught.value)


def test_nothing_is_imported_or_kept(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    modules, path = {*sys.modules}, [*sys.path]
    make({"a": "raise SystemExit(3)", "b": "from . import a"})
    assert not {one for one in {*sys.modules} - modules if one.startswith("graphed")}
    assert sys.path == path
    assert len([*tmp_path.iterdir()]) == 1  # the package: grimp's cache would be beside it

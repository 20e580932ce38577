"""Which module imports which, by grimp: between which domains, how it is written, and circles."""

from __future__ import annotations

import ast
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec, resolve_name
from pathlib import Path
from typing import NamedTuple, TypeAlias

Statement: TypeAlias = tuple[ast.Import | ast.ImportFrom, bool]  # and if it is in a function


class Import(NamedTuple):
    """One import, its modules' names without the package's.

    `name` says that a name was taken out of the module (`from b import f`) rather than the module
    itself, `lazy` that it stands in a function.
    """

    importer: str
    imported: str
    name: bool
    lazy: bool


@dataclass(frozen=True)
class ImportGraph:
    """A package's modules, and the imports between them."""

    modules: tuple[str, ...]
    imports: tuple[Import, ...]

    def across(self, domain: Callable[[str], str]) -> list[Import]:
        """The imports from one domain into another, where `domain` says a module's."""
        return [one for one in self.imports if domain(one.importer) != domain(one.imported)]

    def edges(self, domain: Callable[[str], str]) -> Counter[tuple[str, str]]:
        """How many imports there are from a domain into another, by (importer, imported)."""
        return Counter((domain(one.importer), domain(one.imported)) for one in self.across(domain))

    def circles(
        self, domain: Callable[[str], str] = str, *, lazy: bool = True
    ) -> list[frozenset[str]]:
        """The domains that import each other in a circle, by default the modules; largest first.

        These are the strongly connected components of more than one. Without `lazy` an import
        within a function doesn't count.
        """
        kept = [one for one in self.across(domain) if lazy or not one.lazy]
        return circles((domain(one.importer), domain(one.imported)) for one in kept)


def import_graph(package: str, *, type_checking: bool = False) -> ImportGraph:
    """The graph of a package that can be imported; nothing of it is.

    `type_checking` says whether imports under TYPE_CHECKING, which never run, are in it.
    Raises ModuleNotFoundError where there is none, SyntaxError where a module of it has one.
    """
    import grimp
    from grimp.exceptions import SourceSyntaxError

    if _file(package) is None:
        raise ModuleNotFoundError(f"there is no package {package!r} to be imported")
    root = package.partition(".")[0]
    try:
        graph = grimp.build_graph(
            root, exclude_type_checking_imports=not type_checking, cache_dir=None
        )
    except SourceSyntaxError as error:
        raise SyntaxError(str(error)) from None
    inside = {package, *graph.find_descendants(package)}
    read = cache(_statements)  # of this call: the files may be others by the next
    imports = {
        Import(
            importer.removeprefix(f"{package}."),
            imported.removeprefix(f"{package}."),
            *way,
        )
        for importer in inside
        for imported in graph.find_modules_directly_imported_by(importer) & inside
        for detail in graph.get_import_details(importer=importer, imported=imported)
        for way in _written(read(importer), imported, detail["line_number"], graph.modules)
    }
    modules = sorted(module.removeprefix(f"{package}.") for module in inside - {package})
    return ImportGraph(tuple(modules), tuple(sorted(imports)))


def circles(edges: Iterable[tuple[str, str]]) -> list[frozenset[str]]:
    """Strongly connected components of more than one node, largest first.

    By mutual reachability, one search for each node: for graphs of some thousand nodes at most.
    """
    after: dict[str, set[str]] = {}
    for one, other in edges:
        after.setdefault(one, set()).add(other)
    reached = {node: _reached(node, after) for node in after}
    found = {
        frozenset(other for other in reached[node] if node in reached.get(other, ()))
        for node in after
        if node in reached[node]
    }
    return sorted((one for one in found if len(one) > 1), key=lambda one: (-len(one), sorted(one)))


def _reached(node: str, after: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = [node]
    while waiting:
        more = after.get(waiting.pop(), set()) - seen
        seen |= more
        waiting.extend(more)
    return seen


def _written(
    source: tuple[str, Mapping[int, list[Statement]]],
    imported: str,
    line: int,
    known: Collection[str],
) -> Iterator[tuple[bool, bool]]:
    """For each import of that module at that line, if it takes a name out and is in a function.

    What is not among the known modules, a compiled one for instance, counts as the package it is
    in, as it does for grimp.
    """
    package, statements = source
    for statement, lazy in statements[line]:
        for alias in statement.names:
            module, name = alias.name, False
            if isinstance(statement, ast.ImportFrom):
                module = "." * statement.level + (statement.module or "")
                module = resolve_name(module, package) if statement.level else module
                name = f"{module}.{alias.name}" not in known
                module = module if name else f"{module}.{alias.name}"
            while module and module not in known:
                module = module.rpartition(".")[0]
            if module == imported:
                yield name, lazy


def _statements(module: str) -> tuple[str, Mapping[int, list[Statement]]]:
    """The package that relative imports start from; imports by line, and if in a function."""
    file = _file(module)
    assert file is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the source's style, such as an invalid escape
        nodes = [*ast.walk(ast.parse(file.read_bytes(), str(file)))]
    functions = [one for one in nodes if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
    within = {id(inner) for function in functions for inner in ast.walk(function)}
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    imports: dict[int, list[Statement]] = {}
    for one in nodes:
        if isinstance(one, ast.Import | ast.ImportFrom):
            imports.setdefault(one.lineno, []).append((one, id(one) in within))
    return package, imports


def _file(module: str) -> Path | None:
    """The module's source, found without importing anything: `find_spec` imports its parents."""
    root, *parts = module.split(".")
    spec = find_spec(root)
    for folder in (spec and spec.submodule_search_locations) or []:
        path = Path(folder, *parts)
        for file in (path / "__init__.py", path.with_suffix(".py")):
            if file.is_file():
                return file
    return None

"""A notebook as an HTML page that needs nothing but itself."""

from __future__ import annotations

import base64
import mimetypes
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from nbconvert import HTMLExporter
from nbformat import NotebookNode

HERE = Path(__file__).parent


def title(notebook: NotebookNode, name: str) -> str:
    """The notebook's first heading, or its name."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            heading = re.search(r"^#+ +(.+?) *#*$", cell.source, re.MULTILINE)
            if heading:
                return re.sub(r"[*`]", "", heading[1])
    return name


def page(notebook: NotebookNode, name: str, folder: Path, others: Collection[str]) -> str:
    """The page as HTML: styles and pictures inside, no script, alternative texts kept.

    Pictures in text are taken from `folder`. A link to a notebook of `others` becomes one to its
    page; `index` means the report's front.
    """
    exporter = HTMLExporter(  # type: ignore[no-untyped-call]
        extra_template_basedirs=[str(HERE)], template_name="page"
    )
    html, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": title(notebook, name)}})

    def to_page(link: re.Match[str]) -> str:
        known = link[1] in others or link[1] == "index"
        return f'href="{link[1]}.html{link[2] or ""}"' if known else link[0]

    # nbconvert's own embed_images leaves out what isn't beneath the notebook's folder.
    def embedded(image: re.Match[str]) -> str:
        file = folder / unquote(image[2])
        kind = mimetypes.guess_type(file.name)[0] or ""
        if not kind.startswith("image/") or not file.is_file():
            return image[0]
        return f'{image[1]}{_data_url(kind, file.read_bytes())}"'

    html = re.sub(r'href="(?:\./)?([\w-]+)\.ipynb(#[^"]*)?"', to_page, html)
    return re.sub(r'(<img\b[^>]* src=")([^":]+)"', embedded, html)


@dataclass(frozen=True)
class Picture:
    """A PNG and its alternative text."""

    png: bytes
    alt: str

    @property
    def url(self) -> str:
        """The picture itself as a URL."""
        return _data_url("image/png", self.png)


def headline(notebook: NotebookNode) -> Picture | None:
    """The first picture of the cell tagged `headline`; None where there is none."""
    for cell in notebook.cells:
        if cell.cell_type == "code" and "headline" in cell.metadata.get("tags", []):
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    alt = output.metadata.get("image/png", {}).get("alt", "")
                    return Picture(base64.b64decode(output.data["image/png"]), alt)
    return None


def _data_url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"

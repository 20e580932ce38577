"""The pages of a report: they load nothing, their links lead on, and anyone can read them."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from checkouts import ALT, Run, mixed_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return mixed_run(tmp_path_factory)


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

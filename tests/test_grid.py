"""A table of texts: every cell there, wrong ones told apart without colour."""

from __future__ import annotations

import pytest
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle

from lab_apps.instruments.grid import NONE, RIGHT, WRONG, grid

CELLS = {
    "^a$": {"Pydantic 1": "yes $x^2$", "2": "no"},
    "UUID | str": {"Pydantic 1": "–", "2": "str"},
}


def test_every_cell_is_there_and_wrong_ones_have_a_sign() -> None:
    fig = grid(CELLS, lambda row, column: (row, column) in {("^a$", "2"), ("UUID | str", "2")})
    (axes,) = fig.axes
    assert [text.get_text() for text in axes.texts] == ["yes $x^2$", "✗ no", "–", "✗ str"]
    colours = [p.get_facecolor() for p in axes.patches if isinstance(p, Rectangle)]
    assert colours == [to_rgba(colour) for colour in (RIGHT, WRONG, NONE, WRONG)]
    assert [label.get_text() for label in axes.get_yticklabels()] == list(CELLS)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["Pydantic 1", "2"]
    fig.draw_without_rendering()


def test_a_missing_cell_is_never_wrong() -> None:
    (axes,) = grid(CELLS, lambda *_: True, missing="–").axes
    assert [text.get_text()[0] == "✗" for text in axes.texts] == [True, True, False, True]


def test_rows_with_other_columns_are_refused() -> None:
    with pytest.raises(ValueError, match=r"row 'b' has the columns \['y'\], not \['x'\]"):
        grid({"a": {"x": "1"}, "b": {"y": "2"}}, lambda *_: False)

"""Races: where the window lies, and that every pair is in the picture, on its side."""

from __future__ import annotations

import numpy as np
import pytest

from lab_apps.instruments.plots import COLOURS
from lab_apps.instruments.race_pictures import (
    FLOOR_MS,
    Pair,
    lanes,
    meant,
    share_twice,
    window_ms,
)
from lab_apps.instruments.trial import Trial
from lab_apps.instruments.wire import Row, Sent


def pairs(twice: list[float], once: list[float]) -> list[Pair]:
    return [*(Pair(ms, 2) for ms in twice), *(Pair(ms, 1) for ms in once)]


@pytest.mark.parametrize(
    ("twice", "once", "window"),
    [
        ([1, 2, 3], [5, 7], 4),
        ([3, 1, 2], [7, 5], 4),
        ([1, 2, 3, 20], [5, 7, 9], 4),  # one that was late doesn't move it
        ([1, 2, 6], [0.5, 9], 7.5),
        ([], [2, 4], 0),
        ([2, 4], [], 4),
        ([2], [2.5], 2.25),
    ],
)
def test_window(twice: list[float], once: list[float], window: float) -> None:
    assert window_ms(pairs(twice, once)) == window


def test_window_of_a_step_is_found() -> None:
    spacings = np.random.default_rng(3).uniform(0, 100, 400)
    steps = [Pair(float(ms), 2 if ms < 37 else 1) for ms in spacings]
    assert window_ms(steps) == pytest.approx(37, abs=1)


def test_no_pairs_no_window() -> None:
    with pytest.raises(ValueError, match="no pairs"):
        window_ms([])


def test_share_twice() -> None:
    some = pairs([1, 2, 8], [4, 9])
    assert share_twice(some, 0, 3) == 1
    assert share_twice(some, 8, 9) == 0.5
    assert share_twice(some, 0, float("inf")) == 0.6
    with pytest.raises(ValueError, match="no pair was sent 5 to 7 ms apart"):
        share_twice(some, 5, 7)


def test_a_pair_of_which_none_was_stored_is_none() -> None:
    with pytest.raises(ValueError, match="3 ms apart 0 were stored"):
        Pair(3, 0)


def test_what_is_meant_is_no_error_and_the_rest_is() -> None:
    ended = [
        (201, ""),
        (409, "status"),
        (500, "status"),
        (201, "body"),
        (409, "body"),
        (0, "closed"),
    ]
    rows = [Row(0, i, 1, 1, 2, 3, status, 10, error) for i, (status, error) in enumerate(ended)]
    trial = Trial.of(Sent(rows, 1, 3, 0.0, 0.0), ("sign-ups",))
    assert meant(trial, 409).errors == {"status": 1, "body": 2, "closed": 1}
    assert meant(trial, 409, 500).errors == {"body": 2, "closed": 1}
    assert trial.errors == meant(trial).errors == {"status": 2, "body": 2, "closed": 1}


def test_lanes() -> None:
    drawn = {"one": pairs([0.01, 2], [5]), "two": pairs([], [3, 4])}
    (axes,) = lanes(drawn, {"one": 3.0}).axes
    dots: dict[tuple[str, int], list[float]] = {}
    bars = []
    for line in axes.get_lines():
        xs, ys = (np.asarray(data, float) for data in (line.get_xdata(), line.get_ydata()))
        if line.get_marker() in ("o", "s"):
            for x, y in zip(xs, ys, strict=True):
                dots.setdefault((str(line.get_color()), round(y)), []).append(float(x))
        elif len(xs):
            bars.append((float(xs[0]), float(xs[1]), round(float(np.mean(ys)))))
    twice, once = COLOURS[0], COLOURS[1]
    assert dots == {(twice, 0): [FLOOR_MS, 2], (once, 0): [5], (once, 1): [3, 4]}
    assert bars == [(3, 3, 0)]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["one", "two"]
    assert "3" in [text.get_text() for text in axes.texts]

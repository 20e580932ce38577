"""The ledger: what processes append to one file is read whole, in order, and is gone afterwards."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from helpers import wait_until

from lab_apps.instruments.ledger import Event, Ledger
from lab_apps.practices.background_tasks.ledger import VARIABLE, note

PROCESSES, LINES = 4, 500
WRITER = f"""
import sys
from lab_apps.practices.background_tasks.ledger import note
print("ready", flush=True)
sys.stdin.readline()
for number in range({LINES}):
    note(f"{{sys.argv[1]}}-{{number}}", "done" if number % 2 else "begun")
"""


def line(at_ns: int, task: str, what: str) -> str:
    return json.dumps([at_ns, 7, "MainThread", task, what]) + "\n"


def test_an_event_says_when_who_and_what(monkeypatch: pytest.MonkeyPatch) -> None:
    with Ledger() as ledger:
        assert ledger.events == []
        monkeypatch.setenv(VARIABLE, str(ledger.path))
        thread = threading.Thread(target=note, args=("1-2", "begun"), name="worker")
        thread.start()
        thread.join()
        note("1-2", "line\nbreak, “é”")
        (first, second) = ledger.events
    assert first[1:] == (os.getpid(), "worker", "1-2", "begun")
    assert second[1:] == (os.getpid(), "MainThread", "1-2", "line\nbreak, “é”")
    assert first.at_ns < second.at_ns


def test_a_specimen_without_a_ledger_notes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    note("1-2", "begun")
    assert not list(tmp_path.iterdir())


def test_events_come_in_the_order_of_their_stamps() -> None:
    with Ledger() as ledger:
        ledger.path.write_text(line(30, "c", "done") + line(9, "a", "begun") + line(10, "b", "x"))
        assert [event.at_ns for event in ledger.events] == [9, 10, 30]
        assert ledger.events[0] == Event(9, 7, "MainThread", "a", "begun")


def test_every_prefix_of_the_file_reads_as_its_whole_lines() -> None:
    whole = line(1, "a", "begun") + line(2, "é", "done")
    assert len(whole.encode()) == len(whole)  # json escapes: no character that can be torn
    ends = [index + 1 for index, character in enumerate(whole) if character == "\n"]
    with Ledger() as ledger:
        for cut in range(len(whole) + 1):
            ledger.path.write_text(whole[:cut])
            assert len(ledger.events) == sum(end <= cut for end in ends)


def test_a_line_that_is_no_event_is_an_error() -> None:
    with Ledger() as ledger:
        ledger.path.write_text("[1, 2]\n")
        with pytest.raises(TypeError):
            _ = ledger.events
        ledger.path.write_text('[1, 2, "torn\n')
        with pytest.raises(ValueError, match="Unterminated"):
            _ = ledger.events


def test_processes_at_once_tear_no_line_of_another() -> None:
    with Ledger() as ledger:
        environment = os.environ | {VARIABLE: str(ledger.path)}
        command = [sys.executable, "-c", WRITER]
        writers = [
            subprocess.Popen([*command, name], stdin=-1, stdout=-1, env=environment)
            for name in "abcd"[:PROCESSES]
        ]
        pipes = [(writer.stdin, writer.stdout) for writer in writers]
        for _, theirs in pipes:
            assert theirs is not None
            with theirs:
                assert theirs.readline() == b"ready\n"
        for ours, _ in pipes:
            assert ours is not None
            ours.close()  # all at once, when all are there
        assert [writer.wait(30) for writer in writers] == [0] * PROCESSES
        events = ledger.events
        half = PROCESSES * LINES // 2
        assert ledger.times("done").total() == ledger.times("begun").total() == half
    assert len({event.task for event in events}) == len(events) == PROCESSES * LINES
    assert {event.pid for event in events} == {writer.pid for writer in writers}
    changes = sum(one.pid != next_.pid for one, next_ in itertools.pairwise(events))
    assert changes > PROCESSES  # they did write at once
    for letter in "abcd"[:PROCESSES]:  # each one's own order is kept
        mine = [event.task for event in events if event.task.startswith(letter)]
        assert mine == [f"{letter}-{number}" for number in range(LINES)]


def test_times_counts_each_noting_of_a_task() -> None:
    with Ledger() as ledger:
        lines = [("a", "done"), ("a", "done"), ("b", "done"), ("b", "begun"), ("c", "begun")]
        ledger.path.write_text("".join(line(at, *one) for at, one in enumerate(lines)))
        assert ledger.times("done") == Counter({"a": 2, "b": 1})
        assert ledger.times("returned") == Counter()


def test_wait_for_counts_tasks_not_notes() -> None:
    with Ledger() as ledger:
        ledger.path.write_text(line(1, "a", "done") + line(2, "a", "done"))
        ledger.wait_for("done", 1, 0)
        ledger.wait_for("begun", 0, 0)
        with pytest.raises(TimeoutError, match=r"1 of 2 tasks were done after 0\.05 s"):
            ledger.wait_for("done", 2, 0.05)


def test_wait_for_returns_when_the_last_one_has_noted() -> None:
    with Ledger() as ledger:
        ledger.path.write_text(line(1, "a", "done"))
        waiting = threading.Thread(target=ledger.wait_for, args=("done", 2, 10))
        waiting.start()
        assert not wait_until(lambda: not waiting.is_alive(), 0.1)
        with ledger.path.open("a") as file:
            file.write(line(2, "b", "done")[:-1])  # not whole yet
            file.flush()
            assert not wait_until(lambda: not waiting.is_alive(), 0.1)
            file.write("\n")
        assert wait_until(lambda: not waiting.is_alive(), 5)
        waiting.join()


@pytest.mark.parametrize("ends_by", ["its end", "an error"])
def test_the_folder_goes_with_the_block(ends_by: str) -> None:
    ledger = Ledger()
    try:
        with ledger:
            ledger.path.write_text(line(1, "a", "done"))
            folder = ledger.path.parent
            assert folder.name.startswith("lab-ledger-")
            if ends_by == "an error":
                raise OSError("of the block")
    except OSError:
        pass
    assert not folder.exists()
    with pytest.raises(FileNotFoundError):
        _ = ledger.events  # not: nothing was noted


def test_two_ledgers_are_apart() -> None:
    with Ledger() as one, Ledger() as other:
        one.path.write_text(line(1, "a", "done"))
        assert (len(one.events), len(other.events)) == (1, 0)

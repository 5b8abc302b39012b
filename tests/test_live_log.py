"""What the live view tells: the records that a log gained, where they stand, and how long the rest will take."""

import json

import pytest

from dmtkit import make_config
from dmtkit.runs.folder import RunFolder
from dmtkit.viewer.pace import Pace
from dmtkit.viewer.tail import Tail, measured, points
from tests.helpers import TINY
from tests.test_live import progress, record


@pytest.fixture
def run(tmp_path):
    return RunFolder(tmp_path, make_config(TINY))


def test_a_tail_gives_every_record_once_and_waits_for_torn_lines(run):
    tail, log = Tail(run.path / "metrics.jsonl"), run.path / "metrics.jsonl"
    assert tail.new() == (False, []), "there is no log yet"
    run.log(record(5))
    assert tail.new() == (False, [record(5)])
    assert tail.new() == (False, [])
    whole = json.dumps(record(10)) + "\n"
    with open(log, "a") as file:
        file.write(whole[:17])
    assert tail.new() == (False, []), "half a line is none"
    with open(log, "a") as file:
        file.write(whole[17:] + "no record\n" + json.dumps(record(15)) + "\n")
    assert tail.new() == (False, [record(10), record(15)])
    assert tail.given == [record(5), record(10), record(15)]


def test_a_tail_notices_a_log_that_was_written_anew(run):
    tail = Tail(run.path / "metrics.jsonl")
    for step in (5, 10, 15):
        run.log(record(step))
    tail.new()
    run.rewind_log("dmt", 1, "", 0)  # at the start of every phase: nothing is taken back
    run.log(record(5, phase=1))
    assert tail.new() == (False, [record(5, phase=1)])
    run.rewind_log("dmt", 1, "", 0)
    run.log(record(4, phase=1))
    assert tail.new() == (True, [record(5), record(10), record(15), record(4, phase=1)])


def test_phases_stand_in_a_row_and_tests_at_their_ends(run):
    offsets, known = {}, set()
    log = [record(20), record(20, phase=1, steps=30, model="A"), record(30, phase=1, steps=30, model="B")]
    assert [point["x"] for point in points(log, offsets)] == [20, 40, 80]
    assert measured(run.path, offsets, known) == []
    phase = run.phase("dmt", 1)
    phase.folder.mkdir(parents=True)
    phase.finish({"miou": {"A": 40.0, "B": 41.0, "A+B": 42.0}})
    assert measured(run.path, offsets, known) == [{"method": "dmt", "phase": 1, "x": 80, "value": 40.0}]
    assert measured(run.path, offsets, known) == [], "each is read once"


def test_the_time_left_counts_only_what_was_done_here():
    pace = Pace()
    pace.note(progress(0, phase_steps=0, before=40), 0.0)  # a phase found complete
    assert pace.run_left(progress(0, phase_steps=0, before=40)) is None
    for step in range(11):
        now = progress(step + 1, phase=1, before=40)
        pace.note(now, 10.0 + step)
    assert pace.trained == 11
    assert pace.phase_left(now) == pytest.approx(9 * 10 / 10), "one second a step, nine to go"
    assert pace.run_left(now) == pytest.approx(49 * 20 / 11), "the ten seconds before the first step count in the whole"
    pace.note(progress(0, phase=1, phase_steps=0, before=60), 25.0)
    resumed = progress(15, phase=2, before=60)
    pace.note(resumed, 30.0)
    assert pace.trained == 12, "steps 1 to 14 were done by an earlier start"
    assert pace.phase_left(resumed) is None

"""Progress: every stage with its part and the time left, and the seconds each took."""

import io

import pytest
from rich.console import Console

from sim_compress.cli import stages
from sim_compress.cli.stages import Stages

NAMES = ("load", "rows", "save")


@pytest.fixture
def terminal(monkeypatch) -> io.StringIO:
    """What a terminal of 80 columns is sent."""
    sent = io.StringIO()
    monkeypatch.setattr(stages, "ERR", Console(file=sent, force_terminal=True, width=80))
    return sent


def test_a_terminal_shows_every_stage_and_is_left_clean(terminal):
    with Stages(NAMES) as shown:
        shown.begin("load")
        shown.update("rows", 0.5)
        shown._display.refresh()
    text = terminal.getvalue()
    for words in (*NAMES, "50%", "left"):
        assert words in text
    # Each line is erased, and the cursor is back.
    assert text.rstrip().endswith("\x1b[2K")
    assert "\x1b[?25h" in text


def test_without_a_terminal_each_finished_stage_is_a_line(capsys):
    with Stages(NAMES) as shown:
        shown.begin("load")
        shown.update("rows", 1.0)
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.split(":")[0] for line in err.splitlines()] == list(NAMES)


def test_every_stage_that_was_on_has_its_seconds():
    with Stages(NAMES) as timed:
        timed.begin("load")
        timed.update("rows", 0.3)
        timed.update("rows", 0.6)
    assert list(timed.seconds) == ["load", "rows"]
    assert min(timed.seconds.values()) >= 0


def test_a_stage_that_is_over_begins_the_next():
    with Stages(NAMES) as timed:
        timed.update("load", 1.0)
        timed.update("rows", 1.0)
    assert list(timed.seconds) == list(NAMES)


def test_an_error_ends_the_display_and_passes(terminal):
    def fail() -> None:
        with Stages(NAMES) as shown:
            shown.begin("load")
            raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        fail()
    assert "\x1b[?25h" in terminal.getvalue()

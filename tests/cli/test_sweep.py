"""A sweep: figures, page and plot of all levels, and the artifacts of those that are kept."""

import json
import os
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import onnx
import pytest

from sim_compress import load
from sim_compress.artifact import read
from sim_compress.cli import outcome, sweep
from sim_compress.core import Status
from sim_compress.report import read_report
from sim_compress.report.chart import chart, check_drawing
from tests.cli.networks import images, names, one_number

BESIDE = ["evaluation.npz", "net.calibration.npz", "net.onnx"]
WRITTEN = ["net.sweep.html", "net.sweep.json", "net.sweep.png"]
LEVELS = (0.2, 0.5, 0.8)
JOB = ("net.onnx", "--sweep", "20:80:30", "--eval", "evaluation.npz")
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def sketched(monkeypatch) -> None:
    """Drawing takes longer than compressing these networks: tests/report/test_sweep.py draws."""
    monkeypatch.setattr(sweep, "check_drawing", lambda: None)
    monkeypatch.setattr(sweep, "chart", lambda _, form: b"<svg></svg>" if form == "svg" else PNG)


@pytest.fixture
def drawn(monkeypatch) -> None:
    """As users have it."""
    pytest.importorskip("matplotlib", reason="the plot needs the extra `plot`")
    monkeypatch.setattr(sweep, "check_drawing", check_drawing)
    monkeypatch.setattr(sweep, "chart", chart)


def document() -> dict:
    return json.loads(Path("net.sweep.json").read_text())


class Page(HTMLParser):
    """Every element's name and attributes, every text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)


@pytest.mark.usefixtures("drawn")
def test_a_sweep_writes_figures_page_and_plot_and_no_artifact(run, folder):
    code, out, err = run(*JOB)
    assert code == 0
    assert names(folder) == sorted(BESIDE + WRITTEN)
    assert "written: net.sweep.json, net.sweep.html and net.sweep.png" in out
    assert "error" not in err
    assert Path("net.sweep.png").read_bytes().startswith(PNG)
    # The page needs nothing from elsewhere.
    page = Page(Path("net.sweep.html").read_text())
    tags = [tag for tag, _ in page.tags]
    assert tags.count("svg") == 1
    assert not {"script", "link", "img", "iframe", "object"} & set(tags)
    for _, attributes in page.tags:
        for name in ("src", "href", "xlink:href"):
            assert attributes.get(name, "#").startswith("#")


def test_the_figures_of_a_level_are_those_of_a_run_of_its_own(run):
    run(*JOB)
    found, alone = document(), {}
    assert [level["target_sparsity"] for level in found["levels"]] == list(LEVELS)
    for percent, level in zip((20, 50, 80), found["levels"], strict=True):
        run(
            "net.onnx",
            "--target-sparsity",
            percent,
            "--eval",
            "evaluation.npz",
            "-o",
            "alone.sim.safetensors",
        )
        alone = json.loads(Path("alone.sim.json").read_text())
        assert level["bytes"] == alone["artifact"]["bytes"]
        assert level["nonzeros"] == alone["artifact"]["nonzeros"]
        assert level["scores"] == alone["evaluation"]["scores"]
        for entry in ("sparsity", "total_sparsity", "rows"):
            assert level[entry] == alone[entry]
    assert found["format"] == "sim-compress sweep"
    assert found["labelled"]
    assert not found["on_calibration"]
    assert found["network"] == alone["network"]
    assert found["settings"] | {"target_sparsity": 0.8} == alone["settings"]
    assert list(found["seconds"]) == ["start", "load", "states", "allocation", "80 %", "50 %", "20 %"]


def test_kept_levels_are_to_the_byte_those_of_runs_of_their_own(run, folder):
    assert run(*JOB, "--keep").code == 0
    kept = [f"net.{percent}.sim.{ending}" for percent in (20, 50, 80) for ending in ("json", "safetensors")]
    assert names(folder) == sorted(BESIDE + WRITTEN + kept)
    for percent, level in zip((20, 50, 80), document()["levels"], strict=True):
        path = Path(f"net.{percent}.sim.safetensors")
        run("net.onnx", "--target-sparsity", percent, "-o", "alone.sim.safetensors")
        assert path.read_bytes() == Path("alone.sim.safetensors").read_bytes()
        assert read(path).size == level["bytes"]
        report = read_report(Path(f"net.{percent}.sim.json"))
        assert report.artifact.digest == read(path).digest
        assert report.target_sparsity == level["target_sparsity"]
        assert load(path).predict(images(2))["scores"].shape == (2, 3)
    assert run("compare", *(f"net.{percent}.sim.json" for percent in (20, 80))).code == 0


def test_the_table_and_the_page_show_every_level(run):
    out = run(*JOB).out
    page = Page(Path("net.sweep.html").read_text())
    for level in document()["levels"]:
        (score,) = level["scores"]
        for text in (
            f"{100 * level['sparsity']:.2f} %",
            f"{level['nonzeros']:,}",
            f"{level['bytes']:,}",
            f"{100 * score['accuracy_after']:.2f} %",
            f"{100 * (score['accuracy_before'] - score['accuracy_after']):.2f}",
            f"{score['relative_error']:.3g}",
        ):
            assert text in out
            assert text in page.texts
        assert f"{100 * score['agreement']:.2f} %" in page.texts


def test_the_same_sweep_gives_the_same_figures(run):
    def figures() -> dict:
        run(*JOB)
        timed = ("seconds", "total_seconds", "peak_memory")
        return {name: value for name, value in document().items() if name not in timed}

    assert figures() == figures()


def test_json_prints_the_document_that_is_written(run):
    code, out, _ = run(*JOB, "--json")
    assert code == 0
    assert json.loads(out) == document()


def test_without_labels_the_drop_is_what_does_not_agree(run):
    out = run("net.onnx", "--sweep", "20,80").out
    assert "accuracy" not in out
    for level in document()["levels"]:
        assert f"{100 * (1 - level['scores'][0]['agreement']):.2f}" in out
    assert "whose largest score is no longer" in " ".join(out.split())
    assert "a fair score needs others" in " ".join(out.split())


def test_outputs_without_class_scores_have_their_error_alone(run):
    onnx.save(one_number(), "net.onnx")
    out = run("net.onnx", "--sweep", "20,80").out
    assert "agreement" not in out
    assert "drop" not in out
    for level in document()["levels"]:
        assert f"{level['scores'][0]['relative_error']:.3g}" in out


def test_the_output_names_the_files_and_their_folder(run, folder):
    (folder / "there").mkdir()
    assert run(*JOB, "-o", "there/small.sim.safetensors").code == 0
    assert names(folder / "there") == ["small.sweep.html", "small.sweep.json", "small.sweep.png"]
    assert names(folder) == sorted([*BESIDE, "there"])


def test_blocks_with_a_target_of_their_own_keep_it(run):
    assert run(*JOB, "--target-sparsity", "scores=40", "--keep").code == 0
    for percent in (20, 80):
        blocks = {b.name: b for b in read_report(Path(f"net.{percent}.sim.json")).blocks}
        assert blocks["scores"].sparsity == pytest.approx(0.4, abs=0.01)
        assert blocks["active"].sparsity == pytest.approx(percent / 100, abs=0.02)
    assert document()["settings"]["targets"] == {"scores": 0.4}


def test_without_matplotlib_figures_and_page_are_written_and_the_extra_is_named(run, folder, monkeypatch):
    monkeypatch.setattr(sweep, "check_drawing", check_drawing)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    code, out, err = run(*JOB)
    assert code == 0
    assert names(folder) == sorted(BESIDE + WRITTEN[:2])
    assert "written: net.sweep.json and net.sweep.html" in out
    assert "note: net.sweep.png was not written" in err
    assert "pip install 'sim-compress[plot]'" in err
    page = Page(Path("net.sweep.html").read_text())
    assert "svg" not in [tag for tag, _ in page.tags]
    assert any("sim-compress[plot]" in text for text in page.texts)


def test_a_note_of_every_level_is_told_once_and_warnings_name_their_level(run, monkeypatch):
    several = sweep.sweep

    def noted(*arguments, **named):
        for compressed in several(*arguments, **named):
            outcomes = replace(compressed.outcomes, rows={Status.SWEEPS: 3}, gap=0.0)
            yield replace(compressed, notes=("a choice was made",), outcomes=outcomes)

    monkeypatch.setattr(sweep, "sweep", noted)
    err = run("net.onnx", "--sweep", "20,80").err
    assert err.count("note: a choice was made") == 1
    assert [line for line in err.splitlines() if line.startswith("warning: 80 %: 3 row problems")]
    notices = document()["notices"]
    assert notices.count("a choice was made") == 1
    assert [text[:4] for text in notices if "row problems" in text] == ["80 %", "20 %"]


@pytest.fixture
def interrupted(monkeypatch):
    """The measurement of the second level is interrupted, by Ctrl-C or SIGTERM."""
    measured = []
    measure = outcome.measure

    def interrupt(*arguments):
        if measured:
            raise KeyboardInterrupt
        measured.append(arguments)
        return measure(*arguments)

    monkeypatch.setattr(outcome, "measure", interrupt)


@pytest.mark.usefixtures("interrupted", "drawn")
@pytest.mark.parametrize("keep", [(), ("--keep",)])
def test_an_interrupted_sweep_leaves_its_finished_levels_and_says_which_are_missing(run, folder, keep):
    code, out, err = run(*JOB, *keep)
    assert (code, out) == (130, "")
    assert err.splitlines()[-2:] == [
        "note: net.sweep.json has 80 %; not done: 20 % and 50 %",
        "error: interrupted",
    ]
    kept = ["net.80.sim.json", "net.80.sim.safetensors"] if keep else []
    assert names(folder) == sorted([*BESIDE, *WRITTEN, *kept])
    found = document()
    assert [level["target_sparsity"] for level in found["levels"]] == [0.8]
    assert found["missing_levels"] == [0.2, 0.5]
    assert "20 %, 50 %: the sweep was ended before them" in Page(Path("net.sweep.html").read_text()).texts
    if keep:
        assert read("net.80.sim.safetensors").size == read_report(Path("net.80.sim.json")).artifact.bytes


def test_a_sweep_that_came_to_its_end_misses_no_level(run):
    run(*JOB)
    assert document()["missing_levels"] == []


def test_an_interrupted_sweep_leaves_the_older_figures(run, folder, monkeypatch):
    run(*JOB)
    before = {name: Path(name).read_bytes() for name in names(folder)}

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep, "chart", interrupt)
    assert run("net.onnx", "--sweep", "30,60").code == 130
    assert {name: Path(name).read_bytes() for name in names(folder)} == before


def test_a_disk_that_fills_up_is_one_message_and_no_partial_file(run, folder, monkeypatch):
    rename = os.replace

    def full(source: Path, target: Path) -> None:
        if Path(target).suffix == ".html":
            raise OSError(28, "No space left on device", str(target))
        rename(source, target)

    monkeypatch.setattr(os, "replace", full)
    code, _, err = run(*JOB)
    assert code == 2
    assert "No space left on device" in err
    assert names(folder) == sorted([*BESIDE, "net.sweep.json"])

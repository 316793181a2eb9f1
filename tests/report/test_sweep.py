"""The figures of a sweep as a table, a page and a drawing."""

from dataclasses import replace

import numpy as np
import pytest

from sim_compress.errors import MissingExtraError
from sim_compress.report import (
    RowFigures,
    Score,
    SweepLevel,
    SweepReport,
    chart,
    level_table,
    page,
    to_json,
)
from sim_compress.report.reference import remembered
from tests.report.examples import CALIBRATION, REPORT, TEST_SET

LEVELS = tuple(
    SweepLevel(
        part,
        part,
        part,
        round(200 * (1 - part)),
        round(900 * (1 - part)),
        (score,),
        RowFigures({}, 0.0),
        {},
        (),
    )
    for part, score in (
        (0.2, Score("scores", 0.001, 0.99, 0.94, 0.945)),
        (0.9, Score("scores", 0.3, 0.9, 0.94, 0.87)),
    )
)
SWEEP = SweepReport(
    package_version="0.1.0",
    network=REPORT.network,
    levels=LEVELS,
    missing_levels=(),
    calibration=CALIBRATION,
    evaluation=TEST_SET,
    labelled=True,
    on_calibration=False,
    settings={"kappa": 0.99},
    seconds={"load": 1.0},
    total_seconds=2.0,
    peak_memory=None,
    notices=("only <5> samples",),
)


def scored(*scores: Score) -> SweepReport:
    levels = (replace(level, scores=(score,)) for level, score in zip(LEVELS, scores, strict=True))
    return replace(SWEEP, levels=tuple(levels), labelled=scores[0].accuracy_after is not None)


WITHOUT_LABELS = scored(Score("s", 0.01, 0.99, None, None), Score("s", 0.1, 0.8, None, None))
WITHOUT_CLASSES = scored(Score("s", 0.0, None, None, None), Score("s", 0.1, None, None, None))


def test_the_table_has_the_columns_that_are_known():
    table = level_table(SWEEP)
    assert table.headings == (
        "sparsity", "nonzeros", "bytes", "/ network", "accuracy", "drop", "agreement", "error",
    )  # fmt: skip
    assert table.rows[0] == ("20.00 %", "160", "720", "0.720", "94.50 %", "-0.50", "99.00 %", "0.001")
    assert table.rows[1][4:6] == ("87.00 %", "7.00")
    assert level_table(WITHOUT_LABELS).headings[4:] == ("drop", "agreement", "error")
    assert level_table(WITHOUT_LABELS).rows[1][4] == "20.00"
    assert level_table(WITHOUT_CLASSES).headings[4:] == ("error",)


def test_the_page_escapes_what_it_is_told():
    told = replace(SWEEP, network=replace(SWEEP.network, file="<b>&net.onnx"))
    text = page(told, None)
    assert "&lt;b&gt;&amp;net.onnx" in text
    assert "only &lt;5&gt; samples" in text
    assert "<b>" not in text


def test_the_page_names_the_levels_that_are_not_done():
    assert "missing" not in page(SWEEP, None)
    told = page(replace(SWEEP, missing_levels=(0.3, 0.425)), None)
    assert "<dt>missing</dt><dd>30 %, 42.5 %: the sweep was ended before them</dd>" in told


@pytest.mark.parametrize("report", [WITHOUT_LABELS, WITHOUT_CLASSES, replace(SWEEP, levels=LEVELS[:1])])
def test_every_kind_of_sweep_can_be_drawn(report):
    pytest.importorskip("matplotlib", reason="the plot needs the extra `plot`")
    svg = chart(report, "svg").decode()
    assert svg[svg.index("<svg") :] in page(report, svg.encode())


def test_the_same_figures_give_the_same_bytes():
    pytest.importorskip("matplotlib", reason="the plot needs the extra `plot`")
    for form in ("svg", "png"):
        assert chart(SWEEP, form) == chart(SWEEP, form)


def test_a_drawing_without_matplotlib_names_the_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"sim-compress\[plot\]"):
        chart(SWEEP, "png")


def test_the_document_says_what_it_is():
    assert to_json(SWEEP).startswith('{\n  "format": "sim-compress sweep",\n  "version": 1,')


def test_a_remembered_network_is_asked_once_for_each_batch(monkeypatch):
    asked = []

    def predict(inputs):
        asked.append(inputs)
        return {"y": inputs["x"] * 2}

    recalled = remembered(predict)
    batches = [{"x": np.full((2, 3), value, np.float32)} for value in (1, 2, 1, 2)]
    for batch in batches:
        np.testing.assert_array_equal(recalled(batch)["y"], batch["x"] * 2)
    assert len(asked) == 2
    monkeypatch.setattr("sim_compress.report.reference.REMEMBERED_BYTES", 10)
    asked.clear()
    recalled = remembered(predict)
    for batch in batches:
        np.testing.assert_array_equal(recalled(batch)["y"], batch["x"] * 2)
    assert len(asked) == 4

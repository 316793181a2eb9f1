"""Report to JSON and back: nothing is lost, and what is no report is refused with its place."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_compress.errors import InputError
from sim_compress.report import Evaluation, Score, from_json, to_json
from tests.report.examples import REPORT, TEST_SET

part = st.none() | st.floats(0, 1)
scores = st.builds(Score, st.text(), st.none() | st.floats(0, 1e30), part, part, part)


def test_a_report_comes_back_as_it_was():
    assert from_json(to_json(REPORT)) == REPORT


@given(st.lists(scores, min_size=1), st.dictionaries(st.text(), st.floats(0, 1e9)), st.lists(st.text()))
def test_any_scores_times_and_notices_come_back(found, seconds, notices):
    report = replace(
        REPORT,
        evaluation=Evaluation(TEST_SET, False, True, tuple(found)),
        seconds=seconds,
        notices=tuple(notices),
        peak_memory=None,
    )
    assert from_json(to_json(report)) == report


def test_the_text_is_strict_json_with_its_format_first():
    text = to_json(REPORT)
    assert list(json.loads(text))[:2] == ["format", "version"]
    assert text.endswith("}\n")
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json(replace(REPORT, total_seconds=float("nan")))


def changed(change: Callable[[dict[str, Any]], object]) -> str:
    document = json.loads(to_json(REPORT))
    change(document)
    return json.dumps(document)


BAD = {
    "another format": (lambda d: d.update(format="else"), "'format'"),
    "no format": (lambda d: d.pop("format"), "'format'"),
    "a newer version": (lambda d: d.update(version=3), "version 2, found 3"),
    "an older version": (lambda d: d.update(version=1), "version 2, found 1: compress again"),
    "a version that is no number": (lambda d: d.update(version=True), "version 2, found True"),
    "a missing entry": (lambda d: d.pop("sparsity"), "report: expected the entry 'sparsity'"),
    "an unknown entry": (lambda d: d.update(colour=1), "report: unknown entry 'colour'"),
    "a missing entry inside": (lambda d: d["network"].pop("sha256"), r"report\.network: .*'sha256'"),
    "text as a number": (lambda d: d.update(sparsity="much"), r"report\.sparsity: expected a finite number"),
    "a fraction of a byte": (lambda d: d["artifact"].update(bytes=1.5), r"artifact\.bytes: expected a whole"),
    "true as a number": (lambda d: d["artifact"].update(bytes=True), r"artifact\.bytes: expected a whole"),
    "null as a number": (lambda d: d.update(total_seconds=None), r"report\.total_seconds"),
    "a number as text": (lambda d: d["network"].update(file=1), r"report\.network\.file: expected text"),
    "a number as a list": (lambda d: d.update(blocks=1), r"report\.blocks: expected a list, found 1"),
    "a list as an object": (lambda d: d.update(network=[]), r"report\.network: expected an object"),
    "a list of other things": (lambda d: d.update(notices=[1]), r"report\.notices\[0\]: expected text"),
    "an object of other things": (lambda d: d["seconds"].update(load="x"), r"report\.seconds\.load"),
    "settings that nest": (lambda d: d["settings"].update(kappa=[1]), r"settings\.kappa: expected .* or "),
    "an agreement above 1": (
        lambda d: d["evaluation"]["scores"][1].update(agreement=1.5),
        r"'scores': expected agreement in 0\.\.1",
    ),
    "a negative error": (
        lambda d: d["evaluation"]["scores"][0].update(relative_error=-1.0),
        "expected relative_error",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_entry_is_named(case):
    change, words = BAD[case]
    with pytest.raises(InputError, match=words):
        from_json(changed(change))


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", "[" * 100_000])
def test_what_is_no_json_object_is_refused(text):
    with pytest.raises(InputError, match="expected"):
        from_json(text)


def test_numbers_that_are_not_finite_are_refused():
    for number in ("NaN", "Infinity", "1e999"):
        text = to_json(REPORT).replace('"total_seconds": 11.0', f'"total_seconds": {number}')
        with pytest.raises(InputError, match="finite"):
            from_json(text)

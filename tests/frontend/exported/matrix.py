"""Which cases run plainly, and which with `pytest -m matrix`."""

import importlib.util
from collections.abc import Container, Iterable, Mapping
from typing import Any

import pytest

from tests.frontend.exported.exporting import Way
from tests.frontend.exported.subject import Subject

NEEDS_TORCH = pytest.mark.skipif(
    importlib.util.find_spec("onnxscript") is None or importlib.util.find_spec("torch") is None,
    reason="torch and onnxscript are not installed: pip install 'sim-compress[hf]'",
)
NEEDS_TRANSFORMERS = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None,
    reason="transformers is not installed: pip install 'sim-compress[hf]'",
)


def cases(
    subjects: Mapping[str, Subject],
    ways: Iterable[Way],
    plain: Mapping[Way, Iterable[str]],
    no_legacy: Container[str] = (),
) -> list[Any]:
    """Parameters (name, way) of a test: those in `plain` run always, the others are marked.

    Args:
        no_legacy: subjects that torch's legacy exporter refuses.
    """
    return [
        pytest.param(
            name, way, id=f"{name}-{way}", marks=() if name in plain.get(way, ()) else pytest.mark.matrix
        )
        for name in subjects
        for way in ways
        if (way.dynamo or name not in no_legacy) and (way.batch is None or not _time_first(subjects[name]))
    ]


def _time_first(subject: Subject) -> bool:
    """Whether samples are not first: a fixed size cannot tell which axis they have."""
    return any(i.batch_axis for i in subject.inputs)

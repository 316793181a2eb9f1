"""One map from settings to methods: every pair that goes together has one, and its steps stand in order."""

import ast
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import sim_compress.compression
from sim_compress import Settings, compress, open_teacher
from sim_compress.compression import method_of
from sim_compress.compression.prepared import prepared
from sim_compress.compression.rows.patterns import CHANNELS
from sim_compress.compression.settings import MATCHINGS, STATES, SUPPORTS
from sim_compress.compression.steps.target import Target
from sim_compress.core import Convex
from sim_compress.errors import InputError
from sim_compress.runtime import Session
from tests.compression.odd_networks import dense
from tests.frontend.graphs import saved
from tests.workers import WORKERS

ROOM = Path(sim_compress.compression.__file__).parent
WAYS = {
    "sequential": {},
    "baseline": {"states": "baseline"},
    "full support": {"support": "full"},
    "exact": {"matching": "exact"},
    "channels": {"pattern": "channels"},
}


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return open_teacher(saved(tmp_path_factory.mktemp("network"), dense((6, 12, 3), (True, True))))


def inputs(samples: int = 40) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((samples, 6)).astype(np.float32)


@pytest.mark.parametrize("name", WAYS)
def test_settings_ask_for_the_method_of_their_name(name):
    assert Settings(0.5, **WAYS[name]).method().name == name


def test_a_function_of_the_users_has_a_method_of_its_own():
    assert method_of(Settings(0.5), convex=True).name == "convex"


@pytest.mark.parametrize(
    ("matching", "support", "states", "pattern"),
    list(product(MATCHINGS, SUPPORTS, STATES, ("unstructured", "2:4", "block:1x2", CHANNELS))),
)
def test_settings_that_go_together_have_steps_in_an_order_in_which_each_finds_its_inputs(
    teacher, matching, support, states, pattern
):
    try:
        settings = Settings(0.5, matching=matching, support=support, states=states, pattern=pattern)
    except InputError:
        return
    target = Target(prepared(teacher, inputs(), settings), settings, WORKERS)
    found: list[str] = []
    for step in settings.method().steps(target):
        assert set(step.inputs) <= set(found)
        assert step.name not in found
        found.append(step.name)
    assert found[-1] == "tuned"


def test_steps_with_a_function_of_the_users_find_their_inputs(teacher):
    settings, convex = Settings(0.5, solver="clarabel"), Convex(lambda v: v[0])
    target = Target(prepared(teacher, inputs(), settings, convex), settings, WORKERS)
    steps = target.ready.method.steps(target)
    assert [s.name for s in steps] == ["moments", "problems", "paths", "plan", "rows", "tuned"]


def names_compared(path: Path) -> set[str]:
    """Names of methods that a file compares something with."""
    names = {*MATCHINGS, *STATES, *SUPPORTS, *WAYS}
    compared = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Compare))
    strings = (c.value for node in compared for c in ast.walk(node) if isinstance(c, ast.Constant))
    return {s for s in strings if isinstance(s, str) and s in names}


@pytest.mark.parametrize(
    "path",
    sorted(
        [*ROOM.rglob("*.py"), *(ROOM.parent / "cli").rglob("*.py"), *(ROOM.parent / "report").rglob("*.py")]
    ),
    ids=lambda path: str(path.relative_to(ROOM.parent)),
)
def test_only_the_map_compares_names_of_methods(path):
    assert bool(names_compared(path)) == (path == ROOM / "methods" / "__init__.py")


@pytest.mark.parametrize("way", ["baseline", "exact"])
def test_blocks_with_a_target_of_their_own_get_their_own_rows(teacher, way):
    """Their row groups come behind those of the others in the plan, and before them in the network."""
    (first, _), (last, _) = teacher.model.affines()
    u = inputs(4 if way == "exact" else 40)
    result = compress(teacher, u, Settings(0.1, targets={first: 0.05}, **WAYS[way]))
    wanted = Session(teacher.model)(u)
    error = np.mean((Session(result.model)(u) - wanted) ** 2) / np.var(wanted)
    assert error < 0.05
    assert [name for name, _ in result.model.affines()] == [first, last]

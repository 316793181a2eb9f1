"""The order of modules: each imports only what stands before it, and the runtime stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sim_compress.artifact import write
from sim_compress.certificate import certify
from sim_compress.runtime import Session
from tests.networks import residual_network

PACKAGE = Path(__file__).parents[1] / "sim_compress"
# What each part of the package may import from the others; siblings do not import each other.
BASE = {"errors", "activations", "model", "storage"}
ALLOWED = {
    "errors": set(),
    "storage": {"errors"},
    "activations": {"errors"},
    "model": {"errors", "activations"},
    "forks": set(),
    "compilation": {"errors", "forks"},
    "core": {"errors", "storage", "forks", "compilation"},
    "certificate": BASE,
    "frontend": BASE | {"certificate"},
    "artifact": BASE | {"certificate"},
    "runtime": BASE | {"certificate", "forks", "compilation"},
    "export": BASE | {"certificate"},
    "states": BASE | {"certificate", "forks", "compilation", "core", "frontend", "artifact", "runtime"},
}
ALLOWED["robustness"] = ALLOWED["runtime"] | {"runtime"}
ALLOWED["compression"] = ALLOWED["states"] | {"states", "robustness"}
ALLOWED["report"] = ALLOWED["compression"] | {"compression"}
ALLOWED["cli"] = ALLOWED["report"] | {"report", "export"}
# The package's front door and `python -m`.
UNORDERED = {"__init__", "__main__"}
HEAVY = ("onnx", "onnxruntime", "torch", "cvxpy", "rich", "numba", "sklearn", "matplotlib", "PIL")


def imported_parts(path: Path) -> set[str]:
    """Parts of the package that a file imports, at any depth of its code."""
    parts: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [
                f"{node.module}.{alias.name}" if node.module == "sim_compress" else str(node.module)
                for alias in node.names
            ]
        parts |= {n.split(".")[1] for n in names if n.startswith("sim_compress.")}
    return parts


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_file_imports_only_parts_before_its_own(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own not in UNORDERED:
        assert imported_parts(path) <= ALLOWED[own] | {own}


def loaded_by(statement: str) -> set[str]:
    """Heavy packages that a fresh interpreter has loaded after a statement."""
    script = f"{statement}\nimport sys\nprint(*[m for m in {HEAVY!r} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_importing_the_package_loads_numpy_scipy_and_safetensors_alone():
    assert loaded_by("import sim_compress.artifact, sim_compress.runtime") == set()


def test_compression_loads_no_optional_package():
    assert loaded_by("import sim_compress; sim_compress.compress") <= {"onnx", "onnxruntime", "numba"}


def test_the_public_names_are_sorted_documented_and_importable():
    import sim_compress

    assert sim_compress.__all__ == sorted(sim_compress.__all__)
    for name in sim_compress.__all__:
        assert getattr(sim_compress, name).__doc__
    assert callable(sim_compress.compress)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = sim_compress.nothing


BLOCKED = """
import sys


class Absent:
    \"\"\"Finds every heavy package first and says that it is not installed.\"\"\"

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {heavy!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)


sys.meta_path.insert(0, Absent())
import numpy, sim_compress
inputs, outputs = (numpy.load(p) for p in ({inputs!r}, {outputs!r}))
numpy.testing.assert_allclose(sim_compress.load({path!r})(inputs)["scores"], outputs, rtol=1e-5, atol=1e-5)
"""


def test_an_artifact_runs_where_only_numpy_scipy_and_safetensors_are_installed(tmp_path):
    model = residual_network()
    path, inputs, outputs = (str(tmp_path / n) for n in ("model.sim.safetensors", "u.npy", "y.npy"))
    write(path, model, certify(model), {})
    u = np.random.default_rng(0).standard_normal((3, 2, 6, 6)).astype(np.float32)
    np.save(inputs, u)
    np.save(outputs, Session(model)(u)["scores"])
    script = BLOCKED.format(heavy=HEAVY, path=path, inputs=inputs, outputs=outputs)
    subprocess.run([sys.executable, "-c", script], check=True)

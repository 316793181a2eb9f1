"""The README's Python examples run as they stand, and its test command is the one that CI calls."""

import json
import re
import shutil
from importlib.metadata import distributions
from pathlib import Path

import pytest

from sim_compress import Settings, compress

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_examples_run(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "models", tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    load, compression = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    # The first example loads what the README's command made of the ResNet-20; the small network stands in.
    calibration = "models/fashion_mlp.calibration.npz"
    import numpy as np

    result = compress("models/fashion_mlp.onnx", np.load(calibration)["images"], Settings(0.5))
    result.save("resnet20.sim.safetensors")
    names: dict[str, object] = {}
    exec(load, names)
    exec(compression, names)
    assert Path("fashion_mlp.sim.safetensors").stat().st_size < Path("models/fashion_mlp.onnx").stat().st_size


def test_ci_calls_the_readmes_test_command():
    (command,) = re.findall(r"^    (pip install -e .*)$", README, re.MULTILINE)
    lines = (ROOT / ".ci/run").read_text().replace(" --quiet", "").splitlines()
    install, test = command.split(" && ")
    assert install in lines
    assert test in lines


def test_every_link_leads_to_a_file():
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", README):
        assert (ROOT / target).exists(), target


def test_an_install_in_place_is_a_path_and_no_import_hook():
    """Folders that an earlier install left behind hide subpackages from a hook, and not from a path."""
    here = []
    for found in distributions(name="sim-compress"):
        source = json.loads(found.read_text("direct_url.json") or "{}")
        if source.get("url") == ROOT.as_uri() and "editable" in source["dir_info"]:
            here.append(found)
    if not here:
        pytest.skip("the package is not installed in place from here")
    files = [str(file) for file in here[0].files or ()]
    assert any(name.endswith(".pth") for name in files)
    assert not any("finder" in name for name in files)

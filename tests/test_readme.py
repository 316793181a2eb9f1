"""The README's Python examples run as they stand, and its test command is the one that CI calls."""

import re
import shutil
from pathlib import Path

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

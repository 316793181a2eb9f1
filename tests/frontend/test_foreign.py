"""Files of other formats are recognised, never opened, and refused with what to do."""

import io
import pickle
import zipfile
from pathlib import Path

import pytest
from safetensors.numpy import save

from sim_compress.cli import main
from sim_compress.errors import ModelFileError
from sim_compress.frontend import load_teacher
from tests.frontend.graphs import random


class _Trap:
    """Runs when it is unpickled."""

    def __reduce__(self):
        return (exit, (3,))


def _zipped(*names: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name in names:
            archive.writestr(name, pickle.dumps(_Trap()))
    return data.getvalue()


FILES = {
    "network.pt": (_zipped("network/data.pkl", "network/version"), "torch pickle, which is not read"),
    "network.pth": (pickle.dumps(_Trap()), "sim_compress.compress"),
    "network.keras": (_zipped("metadata.json", "config.json"), "tf2onnx"),
    "network.h5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "tf2onnx"),
    "network.tflite": (bytes(4) + b"TFL3" + bytes(100), "tf2onnx"),
    "weights.bin": (save({"w": random(2, 3)}), "weights without a network"),
}


@pytest.mark.parametrize("name", FILES)
def test_the_file_is_refused_with_what_to_do(tmp_path: Path, name):
    data, message = FILES[name]
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match=message) as caught:
        load_teacher(path)
    assert str(path) in str(caught.value)


def test_the_command_line_does_not_unpickle(tmp_path: Path, capsys):
    path = tmp_path / "network.pt"
    path.write_bytes(FILES["network.pth"][0])
    assert main([str(path), "--target-sparsity", "40", "-o", str(tmp_path / "out.sim.safetensors")]) == 2
    assert "torch.onnx.export" in capsys.readouterr().err

"""sim-compress bench FILE --against MODEL: both runtimes side by side."""

import json


def test_every_batch_size_has_a_line(run, compressed):
    code, out, _ = run("bench", compressed, "--against", "net.onnx", "--batch", 1, 3, "--rounds", 2)
    assert code == 0
    lines = [line for line in out.splitlines() if line.startswith("│")]
    assert [line.strip("│").split("│")[0].strip() for line in lines] == ["1", "3"]
    assert "kernel numba" in out


def test_json_holds_the_figures(run, compressed):
    options = ("--against", "net.onnx", "--batch", 2, "--rounds", 2, "--threads", 1, "--json")
    document = json.loads(run("bench", compressed, *options).out)
    (speed,) = document["speeds"]
    assert (speed["batch"], speed["threads"], document["kernel"]) == (2, 1, "numba")
    assert speed["low"] <= speed["ratio"] <= speed["high"]


def test_the_network_must_be_named_and_be_there(run, compressed):
    code, _, err = run("bench", compressed)
    assert code == 2
    assert "--against" in err
    code, _, err = run("bench", compressed, "--against", "none.onnx")
    assert code == 2
    assert "none.onnx" in err

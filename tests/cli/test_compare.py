"""sim-compress compare: files side by side."""

from pathlib import Path

import pytest


@pytest.fixture
def two(run) -> tuple[str, str]:
    """Artifacts at 40 and 60 %, measured on the same data."""
    for target in (40, 60):
        options = ("--eval", "evaluation.npz", "-o", f"{target}.sim.safetensors")
        assert run("net.onnx", "--target-sparsity", target, *options).code == 0
    return "40.sim.safetensors", "60.sim.safetensors"


def row(out: str, label: str) -> list[str]:
    """Cells of the table's line with the label."""
    (line,) = [line for line in out.splitlines() if line.startswith(f"│ {label}")]
    return [cell.strip() for cell in line.strip("│").split("│")][1:]


def test_artifacts_and_reports_show_the_same_figures(run, two):
    shown = run("compare", *two)
    assert shown.code == 0
    assert shown.err == ""
    assert row(shown.out, "sparsity asked") == ["40.00 %", "60.00 %", "+20.00 points"]
    reports = run("compare", "40.sim.json", "60.sim.json")
    for label in ("nonzeros", "artifact", "accuracy after", "relative output error", "wall time"):
        assert row(reports.out, label) == row(shown.out, label)


def test_figures_of_different_data_have_no_difference_and_a_remark(run, two):
    assert run("net.onnx", "--target-sparsity", 50).code == 0
    out = run("compare", two[0], "net.sim.json").out
    assert "measured on different data" in " ".join(out.split())
    assert row(out, "top-1 agreement")[2] == ""
    assert row(out, "sparsity asked")[2] == "+10.00 points"


def test_an_artifact_without_its_report_shows_what_it_knows(run, two):
    Path("40.sim.json").unlink()
    code, out, _ = run("compare", *two)
    assert code == 0
    assert row(out, "sparsity asked") == ["40.00 %", "60.00 %", "+20.00 points"]
    assert row(out, "wall time")[0] == "-"
    assert "40.sim.safetensors: no report of it lies beside it" in " ".join(out.split())


def test_a_report_of_another_artifact_is_not_taken(run, two):
    Path("40.sim.json").write_bytes(Path("60.sim.json").read_bytes())
    out = run("compare", *two).out
    assert row(out, "sparsity asked")[0] == "40.00 %"
    assert row(out, "wall time")[0] == "-"
    assert "40.sim.json is the report of another artifact" in " ".join(out.split())


@pytest.mark.usefixtures("two")
def test_a_report_beside_another_artifact_says_so(run):
    Path("40.sim.safetensors").write_bytes(Path("60.sim.safetensors").read_bytes())
    out = run("compare", "40.sim.json", "60.sim.json").out
    assert row(out, "sparsity asked")[:2] == ["40.00 %", "60.00 %"]
    said = " ".join(out.split())
    assert "40.sim.json: 40.sim.json is the report of another artifact" in said
    assert "60.sim.json: 60.sim.json is" not in said


@pytest.mark.parametrize("command", [("inspect",), ("evaluate", "--data", "evaluation.npz")])
@pytest.mark.usefixtures("two")
def test_commands_on_an_artifact_say_that_the_report_beside_it_is_of_another(run, command):
    assert "another artifact" not in run(*command, "40.sim.safetensors").err
    Path("40.sim.json").write_bytes(Path("60.sim.json").read_bytes())
    code, _, err = run(*command, "40.sim.safetensors")
    assert code == 0
    assert "warning: 40.sim.json is the report of another artifact" in err


def test_three_files_have_no_column_of_differences(run, two):
    out = run("compare", *two, two[0]).out
    assert row(out, "sparsity asked") == ["40.00 %", "60.00 %", "40.00 %"]
    assert max(map(len, out.splitlines())) <= 80


def test_one_file_is_shown_alone(run, two):
    assert row(run("compare", two[0]).out, "sparsity asked") == ["40.00 %"]

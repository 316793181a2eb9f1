"""A report with every kind of entry filled in."""

from sim_compress.report import (
    ArtifactFigures,
    BlockFigures,
    CertificateFigures,
    DataFigures,
    Evaluation,
    FindingFigures,
    NetworkFigures,
    Report,
    RowFigures,
    Score,
    TuningFigures,
)

CALIBRATION = DataFigures("net.calibration.npz", "cc", 512, False)
TEST_SET = DataFigures("test.npz", "ee", 4000, False)
SCORE = Score("scores", 0.05, 0.99, 0.94, 0.93)

REPORT = Report(
    package_version="0.1.0",
    network=NetworkFigures("net.onnx", "aa", 1000, 900, 200),
    artifact=ArtifactFigures("net.sim.safetensors", "bb", 600, 120, 15, 14, 400, 480),
    target_sparsity=0.4,
    total_sparsity=0.35,
    sparsity=0.4,
    output_errors={"embedding": None, "scores": 0.003},
    findings=(FindingFigures("sparsity", "the sparsity is 40 %", "relu"), FindingFigures("x", "y", None)),
    calibration=CALIBRATION,
    evaluation=Evaluation(TEST_SET, True, False, (Score("embedding", 0.1, None, None, None), SCORE)),
    certificate=CertificateFigures("acyclic", 0.0),
    rows=RowFigures({"optimal": 6, "fallback": 1}, 4e-7),
    tuning=TuningFigures(4, 0.5, 0.4),
    settings={"target_sparsity": 0.4, "objective": "perspective", "kappa": 0.99, "seed": 0, "extra": None},
    seconds={"load": 0.5, "rows": 10.0},
    total_seconds=11.0,
    peak_memory=500_000_000,
    blocks=(BlockFigures("relu", "relu", (4, 6, 6), 4, 9, 190, 110),),
    notices=("only 5 samples",),
)

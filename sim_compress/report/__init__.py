"""What a compression achieved: measured, kept as JSON beside the artifact, compared."""

from sim_compress.report.blocks import compressed_blocks, stored_blocks
from sim_compress.report.chart import chart, check_drawing
from sim_compress.report.columns import Column, Value, column
from sim_compress.report.compare import Comparison, Row, compare
from sim_compress.report.encoding import from_json, to_json
from sim_compress.report.figures import (
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
from sim_compress.report.files import foreign_report, growth, gzip_size, read_report, report_path
from sim_compress.report.fit import label_remarks, shift_remark
from sim_compress.report.levels import LevelTable, drop_words, level_table
from sim_compress.report.measure import Predict, classes_of, measure
from sim_compress.report.page import page, sweep_facts
from sim_compress.report.resources import peak_memory
from sim_compress.report.sweep import SweepLevel, SweepReport

__all__ = [
    "ArtifactFigures",
    "BlockFigures",
    "CertificateFigures",
    "Column",
    "Comparison",
    "DataFigures",
    "Evaluation",
    "FindingFigures",
    "LevelTable",
    "NetworkFigures",
    "Predict",
    "Report",
    "Row",
    "RowFigures",
    "Score",
    "SweepLevel",
    "SweepReport",
    "TuningFigures",
    "Value",
    "chart",
    "check_drawing",
    "classes_of",
    "column",
    "compare",
    "compressed_blocks",
    "drop_words",
    "foreign_report",
    "from_json",
    "growth",
    "gzip_size",
    "label_remarks",
    "level_table",
    "measure",
    "page",
    "peak_memory",
    "read_report",
    "report_path",
    "shift_remark",
    "stored_blocks",
    "sweep_facts",
    "to_json",
]

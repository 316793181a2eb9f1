"""What a compression achieved: measured, kept as JSON beside the artifact, compared."""

from sim_compress.report.blocks import compressed_blocks, stored_blocks
from sim_compress.report.columns import Column, Value, column
from sim_compress.report.compare import Comparison, Row, compare
from sim_compress.report.encoding import from_json, to_json
from sim_compress.report.figures import (
    ArtifactFigures,
    BlockFigures,
    CertificateFigures,
    DataFigures,
    Evaluation,
    NetworkFigures,
    Report,
    RowFigures,
    Score,
)
from sim_compress.report.files import gzip_size, read_report, report_path, sha256, write_report
from sim_compress.report.measure import Predict, measure
from sim_compress.report.resources import peak_memory
from sim_compress.report.samples import check_labels

__all__ = [
    "ArtifactFigures",
    "BlockFigures",
    "CertificateFigures",
    "Column",
    "Comparison",
    "DataFigures",
    "Evaluation",
    "NetworkFigures",
    "Predict",
    "Report",
    "Row",
    "RowFigures",
    "Score",
    "Value",
    "check_labels",
    "column",
    "compare",
    "compressed_blocks",
    "from_json",
    "gzip_size",
    "measure",
    "peak_memory",
    "read_report",
    "report_path",
    "sha256",
    "stored_blocks",
    "to_json",
    "write_report",
]

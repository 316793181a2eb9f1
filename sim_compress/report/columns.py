"""One file as a column of a comparison: from its report, else from what the artifact itself knows."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sim_compress.artifact import JSON, Artifact, read
from sim_compress.errors import ArtifactError
from sim_compress.report.figures import Report
from sim_compress.report.files import REPORT_SUFFIX, foreign_report, read_report, report_path

Value = str | float | None


@dataclass(frozen=True, kw_only=True)
class Column:
    """What is known of one file; None where it does not tell.

    Attributes:
        remark: why the report beside it is not taken, or that the artifact beside it is another one.
    """

    title: str
    network: Value = None
    network_sha256: str | None = None
    parameters: Value = None
    nonzeros: Value = None
    target_sparsity: Value = None
    sparsity: Value = None
    network_bytes: Value = None
    gzip_bytes: Value = None
    artifact_bytes: Value = None
    calibration: Value = None
    evaluation: Value = None
    evaluation_sha256: str | None = None
    accuracy_before: Value = None
    accuracy_after: Value = None
    agreement: Value = None
    relative_error: Value = None
    objective: Value = None
    kappa: Value = None
    certificate: Value = None
    total_seconds: Value = None
    peak_memory: Value = None
    remark: str | None = None


def column(path: Path) -> Column:
    """The column of a report, or of an artifact with the report beside it where that belongs to it.

    Raises:
        InputError: the file is neither, or is damaged.
    """
    if path.suffix == REPORT_SUFFIX:
        report = read_report(path)
        return report_column(str(path), report, _beside(path, report))
    artifact = read(path)
    remark = foreign_report(path, artifact.digest)
    if remark is None and report_path(path).exists():
        return report_column(str(path), read_report(report_path(path)))
    return artifact_column(str(path), artifact, remark)


def _beside(path: Path, report: Report) -> str | None:
    """What is wrong with the artifact beside a report, None where it is the report's own or there is none."""
    artifact = path.with_name(report.artifact.file)
    if not artifact.is_file() or report_path(artifact) != path:
        return None
    try:
        return foreign_report(artifact, read(artifact).digest)
    except ArtifactError as error:
        return str(error)


def report_column(title: str, report: Report, remark: str | None = None) -> Column:
    """All figures of a report."""
    data, score = report.evaluation.data, report.evaluation.headline
    measured = f"{data.source}, {data.samples:,} samples"
    return Column(
        title=title,
        network=report.network.file,
        network_sha256=report.network.sha256,
        parameters=report.network.parameters,
        nonzeros=report.artifact.nonzeros,
        target_sparsity=report.target_sparsity,
        sparsity=report.sparsity,
        network_bytes=report.network.bytes,
        gzip_bytes=report.network.gzip_bytes,
        artifact_bytes=report.artifact.bytes,
        calibration=f"{report.calibration.source}, {report.calibration.samples:,} samples",
        evaluation=measured,
        evaluation_sha256=data.sha256,
        accuracy_before=score.accuracy_before,
        accuracy_after=score.accuracy_after,
        agreement=score.agreement,
        relative_error=score.relative_error,
        objective=_word(report.settings.get("objective")),
        kappa=_number(report.settings.get("kappa")),
        certificate=f"{report.certificate.kind}, bound {report.certificate.bound:.3g}",
        total_seconds=report.total_seconds,
        peak_memory=report.peak_memory,
        remark=remark,
    )


def artifact_column(title: str, artifact: Artifact, remark: str | None = None) -> Column:
    """What an artifact knows by itself; provenance is what its writer was told, so each entry is checked."""
    provenance = artifact.provenance
    teacher, settings = _part(provenance, "teacher"), _part(provenance, "settings")
    calibration = _part(provenance, "calibration")
    return Column(
        title=title,
        network=_word(teacher.get("file")),
        network_sha256=_word(teacher.get("sha256")),
        parameters=_number(teacher.get("parameters")),
        nonzeros=artifact.model.parameters,
        target_sparsity=_number(settings.get("target_sparsity")),
        sparsity=_number(provenance.get("sparsity")),
        artifact_bytes=artifact.size,
        calibration=_word(calibration.get("source")),
        objective=_word(settings.get("objective")),
        kappa=_number(settings.get("kappa")),
        certificate=f"{artifact.certificate.kind}, bound {artifact.certificate.bound:.3g}",
        remark=remark,
    )


def _part(provenance: Mapping[str, JSON], key: str) -> Mapping[str, JSON]:
    value = provenance.get(key)
    return value if isinstance(value, Mapping) else {}


def _word(value: JSON) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: JSON) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None

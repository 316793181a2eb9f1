"""Whether every part of a network has the sparsity that was asked of it, and why not."""

from collections.abc import Mapping

from sim_compress.compression.allocation.plan import Plan
from sim_compress.compression.allocation.scope import REST, Part
from sim_compress.compression.appraisal.outputs import Finding
from sim_compress.compression.method import Method, Reason
from sim_compress.compression.rows.patterns import UNSTRUCTURED, pattern_of
from sim_compress.compression.settings import Settings
from sim_compress.model import Affine, ImplicitModel

# What a target is met to, where one entry is not more.
TOLERANCE = 1e-3
# Of a difference of fractions.
ROUNDING = 1e-9


def sparsity_of(teacher: ImplicitModel, model: ImplicitModel, names: tuple[str, ...]) -> float:
    """1 - nnz / nnz of the teacher's over the named blocks."""
    before, after = (sum(a.nnz for n, a in m.affines() if n in names and m.owns(n)) for m in (teacher, model))
    return 1 - after / before


def missed(
    teacher: ImplicitModel, model: ImplicitModel, plan: Plan, settings: Settings, method: Method
) -> tuple[Finding, ...]:
    """A sentence for each part whose sparsity is off by more than a tenth of a point and one entry."""
    before, after = dict(teacher.affines()), dict(model.affines())
    found = []
    for part in () if method.decides else plan.scope:
        sparsity = sparsity_of(teacher, model, part.names)
        entry = 1 / sum(before[n].nnz for n in part.names)
        if abs(sparsity - part.target) > max(TOLERANCE, entry) + ROUNDING:
            of = "" if part.pattern == REST else f" of {part.pattern!r}"
            reason, block = method.missed(settings, plan, part, after)
            text = f"the sparsity{of} is {100 * sparsity:.2f} %, asked were {100 * part.target:g} %: {reason}"
            found.append(Finding("sparsity", text, block))
    return tuple(found)


def of_supports(settings: Settings, plan: Plan, part: Part, after: Mapping[str, Affine]) -> Reason:
    """Why a part whose supports are searched is not as sparse as asked."""
    if settings.pattern != UNSTRUCTURED:
        return _of_pattern(settings), None
    for name in part.names:
        groups = plan.groups[name]
        given = sum(g.count + int(g.block.given.sum()) for g in groups)
        if not all(g.block.allowed.all() for g in groups):
            return (
                f"from block {name!r} on rows, or what they read, do not vary over the calibration inputs, "
                "so that their entries have no use: give inputs that vary more"
            ), name
        if settings.values != "float32" and after[name].nnz < given:
            return (
                f"weights of block {name!r} are too small for {settings.values} and round to zero: choose "
                "float32 or bfloat16"
            ), name
    return "states that no longer vary behind sparser blocks have no use for their entries", None


def _of_pattern(settings: Settings) -> str:
    if pattern_of(settings.pattern).sparsity is None:
        return "tiles are kept or dropped whole"
    return (
        f"the pattern {settings.pattern} fixes what a row keeps; biases, and neighbours too few for it, stay"
    )

"""The command line: which command, with which options."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from sim_compress.cli import streams
from sim_compress.cli.values import (
    ENGINES,
    channel_values,
    engine_name,
    input_shape,
    levels,
    memory,
    points,
    positive,
    seed,
    target,
)
from sim_compress.errors import InputError

DEFAULT = "compress"
# The library's own lists, which importing would make --help slow; a test compares them.
OBJECTIVES = ("perspective", "l1")
SUPPORTS = ("network", "full")
STATES = ("regenerated", "baseline")
MATCHINGS = ("relaxed", "exact")
VALUES = ("float32", "float16", "bfloat16")
ALLOCATIONS = ("output", "alpha", "uniform")
AUGMENTS = ("mirror", "none")
UNSTRUCTURED = "unstructured"
SOLVERS = ("native", "clarabel", "scs", "osqp", "mosek")
EXPORT_FORMATS = ("onnx", "csr", "npz")
# Options whose default is a choice that a user may as well write down.
GIVEN = ("objective", "states", "allocation", "nearest_rounds", "augment", "solver", "seed")
_NOT_GIVEN = object()
COMMANDS = """\
commands:
  sim-compress MODEL --target-sparsity 40   compress a network (options above)
  sim-compress MODEL --sweep 20:95:5        the whole trade-off curve
  sim-compress MODEL --max-drop 0.5         as sparse as half a point allows
  sim-compress inspect FILE                 what an artifact holds
  sim-compress evaluate FILE --data DATA    score an artifact
  sim-compress compare FILE FILE ...        reports or artifacts side by side
  sim-compress bench FILE --against MODEL   time an artifact and its network
  sim-compress export FILE -o sparse.onnx   write an artifact as an ONNX graph, or as plain CSR matrices

Exit codes: 0 done, 1 a check you asked for failed, 2 bad input, 130 Ctrl-C.
"""


class Parser(argparse.ArgumentParser):
    """A parser whose refusals are errors like all others, and whose help tells what is wrong with stdout."""

    def print_help(self, file: Any = None) -> None:
        assert file is None, "help goes to stdout"
        streams.write(self.format_help())

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} (see  {self.prog} --help)")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Options of one command; `command` names the module that runs it.

    Raises:
        InputError: the command line cannot be used.
        SystemExit: --help or --version was asked for and is printed.
    """
    if argv and argv[0] in PARSERS:
        return PARSERS[argv[0]]().parse_args(argv[1:])
    return _with_given(_compress(), argv)


def _with_given(parser: Parser, argv: Sequence[str]) -> argparse.Namespace:
    """Options and their defaults; `given` says which of GIVEN stand on the command line, defaults or not."""
    arguments = parser.parse_args(argv, argparse.Namespace(**dict.fromkeys(GIVEN, _NOT_GIVEN)))
    arguments.given = frozenset(name for name in GIVEN if getattr(arguments, name) is not _NOT_GIVEN)
    for name in set(GIVEN) - arguments.given:
        setattr(arguments, name, parser.get_default(name))
    return arguments


def _parser(command: str, prog: str, description: str, epilog: str | None = None) -> Parser:
    parser = Parser(
        prog=prog,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(command=command)
    return parser


def _compress() -> Parser:
    parser = _parser(
        DEFAULT,
        "sim-compress",
        "Turn a pretrained network into a sparse, certified implicit model.",
        COMMANDS,
    )
    parser.add_argument(
        "model", metavar="MODEL", type=Path, help="ONNX network, or an artifact to compress further"
    )
    parser.add_argument(
        "--target-sparsity",
        action="append",
        default=[],
        type=target,
        metavar="[REGEX=]PART",
        help="part of the parameters to remove: 40, 40%% or 0.4; below 1 a fraction. Given again as "
        "'layer1.*=30' it is that of the blocks whose name matches as a whole "
        "(default: what --pattern N:M removes)",
    )
    parser.add_argument(
        "--sweep",
        type=levels,
        metavar="FROM:TO:STEP",
        help="in place of one sparsity the whole curve: 20:95:5 or 20,40,60; writes NAME.sweep.json, .html "
        "and .png, and no artifacts",
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="with --sweep, write every level's artifact: NAME.20.sim.safetensors",
    )
    parser.add_argument(
        "--max-drop",
        type=points,
        metavar="POINTS",
        help="in place of one sparsity the largest that loses at most so much, to a percent: accuracy points "
        "on --eval with labels, else percent of the samples with another class",
    )
    _add_input_shape(parser)
    for name, meaning in (("ignore", "leave these as they are"), ("only", "compress only these")):
        parser.add_argument(
            f"--{name}",
            action="append",
            default=[],
            metavar="REGEX",
            help=f"{meaning}: blocks whose own name, or that of a node or module in them, matches as a whole",
        )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FILE|DIR",
        help="calibration inputs: .npz keyed by input name, .npy, or a folder of images "
        "(default: STEM.calibration.npz beside MODEL, else made-up inputs)",
    )
    parser.add_argument(
        "--eval",
        type=Path,
        metavar="FILE",
        dest="evaluation",
        help="evaluation inputs, like --data, with or without labels (default: the calibration inputs)",
    )
    _add_data_options(parser)
    parser.add_argument(
        "--objective",
        choices=OBJECTIVES,
        default=OBJECTIVES[0],
        help="penalty of the row problems (default: %(default)s)",
    )
    parser.add_argument(
        "--kappa", type=float, default=0.99, help="bound on the norm of A, below 1 (default: %(default)s)"
    )
    parser.add_argument(
        "--support",
        choices=SUPPORTS,
        default=SUPPORTS[0],
        help="what a row may use: the sources it has in the network, or every state and input "
        "(dense networks; the result iterates; default: %(default)s)",
    )
    parser.add_argument(
        "--states",
        choices=STATES,
        default=STATES[0],
        help="what rows are fitted on: states of the compressed model, block by block, or the network's own, "
        "all rows side by side (default: %(default)s)",
    )
    parser.add_argument(
        "--matching",
        choices=MATCHINGS,
        default=MATCHINGS[0],
        help="states matched nearly at the target sparsity, or exactly on every sample, which decides the "
        "sparsity itself (few samples; default: %(default)s)",
    )
    parser.add_argument(
        "--allocation",
        choices=ALLOCATIONS,
        default=ALLOCATIONS[0],
        help="how nonzeros are shared out between blocks: by their effect on the outputs, by one alpha for "
        "all, or the same sparsity in each (default: %(default)s)",
    )
    parser.add_argument(
        "--nearest-rounds",
        type=int,
        metavar="N",
        help="refits to targets moved where phi is flat, as below 0 of a ReLU (default: 2 where they cost "
        "little or values are not tuned afterwards, else none)",
    )
    parser.add_argument(
        "--augment",
        choices=AUGMENTS,
        default=AUGMENTS[0],
        help="mirror images of few calibration images, where the network gives them the same classes, or "
        "nothing (default: %(default)s)",
    )
    parser.add_argument(
        "--tune",
        type=int,
        metavar="EPOCHS",
        help="passes of gradient descent over all values together once the rows are solved, 0 for none "
        "(default: as many as pay, at most 8 and half a minute)",
    )
    parser.add_argument(
        "--solver",
        choices=SOLVERS,
        default=SOLVERS[0],
        help="of the convex row problems; all but the native one go through cvxpy (default: %(default)s)",
    )
    parser.add_argument(
        "--pattern",
        default=UNSTRUCTURED,
        metavar="N:M|block:RxC|channels[:N]",
        help="what hardware asks of supports: at most N of every M neighbours in a row, as 2:4, or tiles of "
        "R rows times C neighbours kept or dropped together, as block:1x4; neighbours are consecutive "
        "inputs, of a convolution consecutive input channels. With channels whole rows and columns leave, so "
        "states and the exported graph shrink; channels:8 keeps multiples of 8 (default: %(default)s)",
    )
    parser.add_argument(
        "--values",
        choices=VALUES,
        default=VALUES[0],
        help="format of the stored weights; the rounded model is what is proven, measured and reported "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--engine",
        type=engine_name,
        default=ENGINES[0],
        metavar="{" + ",".join(ENGINES) + ",ray://HOST:PORT}",
        help="who works on samples, rows and trials: threads of this process, processes of this machine, "
        "or a Ray cluster, the one at an address, in RAY_ADDRESS or on this machine, else a new one "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--workers", type=positive, metavar="N", help="workers of the engine (default: one a processor)"
    )
    parser.add_argument("--seed", type=seed, default=0, help="seed of made-up inputs (default: %(default)s)")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="artifact to write (default: STEM.sim.safetensors in the current folder); "
        "its report goes beside it",
    )
    parser.add_argument(
        "--keep-run",
        action="store_true",
        help="leave NAME.sim.run, the results of finished steps, where it is: another sparsity of the same "
        "network and data reuses what is the same (default: it goes when the artifact is written; where a "
        "run ends early, the same command goes on from it)",
    )
    parser.add_argument(
        "--fresh", action="store_true", help="start over where there is a NAME.sim.run of an earlier run"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON instead of tables")
    parser.add_argument(
        "--dry-run", action="store_true", help="show what was found and would be solved; write nothing"
    )
    parser.add_argument("--version", action=_Version)
    return parser


def _inspect() -> Parser:
    parser = _parser("inspect", "sim-compress inspect", "Show what an artifact holds, and prove it.")
    parser.add_argument("file", metavar="FILE", type=Path, help="artifact")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    return parser


def _evaluate() -> Parser:
    parser = _parser(
        "evaluate",
        "sim-compress evaluate",
        "Score an artifact on labels, or against the network it was made from.",
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="artifact")
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="FILE|DIR",
        help="inputs: .npz keyed by input name (and `labels`), .npy, or a folder of images",
    )
    parser.add_argument("--against", type=Path, metavar="MODEL", help="network to compare with")
    _add_input_shape(parser)
    _add_data_options(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


def _compare() -> Parser:
    parser = _parser("compare", "sim-compress compare", "Show reports or artifacts side by side.")
    parser.add_argument("files", metavar="FILE", type=Path, nargs="+", help="NAME.sim.json or artifact")
    return parser


def _bench() -> Parser:
    parser = _parser(
        "bench", "sim-compress bench", "Time an artifact against onnxruntime on the network it was made from."
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="artifact")
    parser.add_argument("--against", type=Path, required=True, metavar="MODEL", help="ONNX network")
    parser.add_argument(
        "--batch",
        type=positive,
        nargs="+",
        metavar="N",
        help="batch sizes (default: 1 64, or the one that the network takes)",
    )
    parser.add_argument(
        "--threads", type=positive, metavar="N", help="threads of both (default: one a processor)"
    )
    parser.add_argument(
        "--rounds", type=positive, default=30, metavar="N", help="turns of each (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


def _export() -> Parser:
    parser = _parser(
        "export",
        "sim-compress export",
        "Write an artifact as a plain ONNX graph with the same outputs, dense weights with their zeros kept, "
        "or as plain sparse matrices.",
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="artifact")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="what to write (default: STEM.sim.onnx, STEM.csr.safetensors or the folder STEM.npz, here)",
    )
    parser.add_argument(
        "--format",
        choices=EXPORT_FORMATS,
        default=EXPORT_FORMATS[0],
        help="a graph; one safetensors file of indptr, indices and data; or a folder of files for "
        "scipy.sparse.load_npz (default: %(default)s)",
    )
    parser.add_argument(
        "--unrolled",
        action="store_true",
        help="csr and npz: the matrices A, B, C, D whole in place of the tied rows",
    )
    parser.add_argument(
        "--memory",
        type=memory,
        metavar="BYTES",
        help="--unrolled: the most that making them may take, as 500M or 8GiB (default: 1GiB)",
    )
    parser.add_argument(
        "--opset",
        type=positive,
        metavar="N",
        help="onnx: version of the standard operator set (default: that of the network it came from)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    return parser


def _add_input_shape(parser: Parser) -> None:
    parser.add_argument(
        "--input-shape",
        action="append",
        default=[],
        type=input_shape,
        metavar="[NAME=]1x3x224x224",
        help="sizes of an input that the file leaves open; the first, the batch, stays free",
    )


def _add_data_options(parser: Parser) -> None:
    parser.add_argument(
        "--labels", type=Path, metavar="FILE", help="class numbers of the evaluated samples: .npy or .npz"
    )
    for name, meaning in (("mean", "subtracted from"), ("std", "dividing")):
        parser.add_argument(
            f"--{name}",
            type=channel_values,
            metavar="X[,Y,Z]",
            help=f"{meaning} pixels / 255, one value or one a channel; a mean above 1 is of pixels as "
            "they are, and then both are (default: pixels stay 0..255)",
        )


class _Version(argparse.Action):
    """--version; looked up only when asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="show the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from sim_compress.cli.version import package_version

        streams.write(f"sim-compress {package_version()}\n")
        parser.exit()


PARSERS: dict[str, Callable[[], Parser]] = {
    "bench": _bench,
    "compare": _compare,
    "evaluate": _evaluate,
    "export": _export,
    "inspect": _inspect,
}

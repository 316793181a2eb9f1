"""The command line: which command, with which options."""

import argparse
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from sim_compress.cli import streams
from sim_compress.cli.compress_options import (
    add_data_options,
    add_format,
    add_input_shape,
    add_inputs,
    add_problem,
    add_run,
    add_search,
    add_targets,
)
from sim_compress.cli.evaluate_options import add_robustness
from sim_compress.cli.values import memory, positive
from sim_compress.errors import InputError

DEFAULT = "compress"
EXPORT_FORMATS = ("onnx", "csr", "npz")
# Options whose default is a choice that a user may as well write down.
GIVEN = ("objective", "states", "allocation", "nearest_rounds", "augment", "solver", "seed")
_NOT_GIVEN = object()
# What most people ever use: --help shows these, --help-all the rest too.
COMMON = ("model", "target_sparsity", "max_drop", "data", "evaluation", "output", "help", "help_all")
GROUPS = (
    ("sparsity", add_targets),
    ("network and data", add_inputs),
    ("what is solved", add_problem),
    ("how it is solved", add_search),
    ("what supports and values look like", add_format),
    ("run and output", add_run),
)
COMMANDS = """\
commands:
  sim-compress MODEL --target-sparsity 40   compress a network
  sim-compress MODEL --sweep 20:95:5        the whole trade-off curve
  sim-compress MODEL --max-drop 0.5         as sparse as half a point allows
  sim-compress inspect FILE                 what an artifact holds
  sim-compress evaluate FILE --data DATA    score an artifact
  sim-compress compare FILE FILE ...        reports or artifacts side by side
  sim-compress bench FILE --against MODEL   time an artifact and its network
  sim-compress export FILE -o sparse.onnx   write an ONNX graph or plain CSR matrices

Exit codes: 0 done, 1 a check you asked for failed, 2 bad input, 130 Ctrl-C.
"""


class Parser(argparse.ArgumentParser):
    """A parser whose refusals are errors like all others, and whose help tells what is wrong with stdout."""

    def print_help(self, file: Any = None) -> None:
        assert file is None, "help goes to stdout"
        streams.write(self.format_help())

    def shorten(self) -> None:
        """Leave out of the help what few people use."""
        self.usage = "sim-compress MODEL [--target-sparsity PART] [options]\n       sim-compress COMMAND ..."
        for action in self._actions:
            if action.dest not in COMMON:
                action.help = argparse.SUPPRESS

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}{self._meant(message)} (see  {self.prog} --help)")

    def _meant(self, message: str) -> str:
        """The options nearest to those that a message says are unknown."""
        unknown = message.removeprefix("unrecognized arguments: ")
        if unknown == message:
            return ""
        # Behind "=" there is a value.
        options = [word.partition("=")[0] for word in unknown.split() if word.startswith("--")]
        near = [match for o in options for match in get_close_matches(o, self._option_string_actions, 1)]
        return f"; did you mean {', '.join(near)}?" if near else ""


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


def _parser(
    command: str, prog: str, description: str, epilog: str | None = None, *, add_help: bool = True
) -> Parser:
    parser = Parser(
        prog=prog,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=add_help,
    )
    parser.set_defaults(command=command)
    return parser


def _compress() -> Parser:
    parser = _parser(
        DEFAULT,
        "sim-compress",
        "Turn a pretrained network into a sparse, certified implicit model.",
        COMMANDS,
        add_help=False,
    )
    parser.add_argument(
        "model", metavar="MODEL", type=Path, help="ONNX network, or an artifact to compress further"
    )
    for title, add in GROUPS:
        add(parser.add_argument_group(title))
    parser.add_argument("-h", "--help", action=_ShortHelp)
    parser.add_argument("--help-all", action="help", help="show all options, in groups, and exit")
    parser.add_argument("--version", action=_Version)
    return parser


def _inspect() -> Parser:
    parser = _parser("inspect", "sim-compress inspect", "Show what an artifact holds, and prove it.")
    parser.add_argument("file", metavar="FILE", type=Path, help="artifact")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument(
        "--per-step", action="store_true", help="run it once and show what every block takes, numpy's too"
    )
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
    add_input_shape(parser)
    add_data_options(parser)
    add_robustness(parser)
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
    parser.add_argument(
        "--per-step", action="store_true", help="show what every block of the artifact takes, too"
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


class _ShortHelp(argparse.Action):
    """--help on one screen."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="show this and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        assert isinstance(parser, Parser)
        parser.shorten()
        parser.print_help()
        parser.exit()


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

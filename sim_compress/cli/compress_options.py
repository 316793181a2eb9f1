"""Options of the command that compresses, in the order of its help."""

import argparse
from pathlib import Path

from sim_compress.cli.values import (
    ENGINES,
    channel_values,
    engine_name,
    input_shape,
    levels,
    memory,
    points,
    positive,
    radius,
    seed,
    target,
)

# Where options are added: a parser, or a group of its help.
Options = argparse.ArgumentParser | argparse._ArgumentGroup
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


def add_targets(parser: Options) -> None:
    """How far to go."""
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


def add_inputs(parser: Options) -> None:
    """Which network, blocks and data."""
    add_input_shape(parser)
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
    add_data_options(parser)


def add_problem(parser: Options) -> None:
    """What is solved."""
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


def add_search(parser: Options) -> None:
    """How it is solved."""
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
        "--robust",
        type=radius,
        metavar="EPSILON",
        help="tune the values so that the network's classes stay where every entry of an input moves by so "
        "much, in the units of the data; with --mean and --std of pixels / 255 (default: values are tuned to "
        "have the network's states and outputs)",
    )
    parser.add_argument(
        "--solver",
        choices=SOLVERS,
        default=SOLVERS[0],
        help="of the convex row problems; all but the native one go through cvxpy (default: %(default)s)",
    )


def add_format(parser: Options) -> None:
    """What supports and values look like."""
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


def add_run(parser: Options) -> None:
    """Who works, what is written and what is shown."""
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
    parser.add_argument(
        "--memory",
        type=memory,
        metavar="BYTES",
        help="the most that the run may take, as 6G or 512M: where it would take more, large arrays lie in "
        "files in TMPDIR and it works in smaller parts, to the same bytes (default: what is free)",
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


def add_input_shape(parser: Options) -> None:
    parser.add_argument(
        "--input-shape",
        action="append",
        default=[],
        type=input_shape,
        metavar="[NAME=]1x3x224x224",
        help="sizes of an input that the file leaves open; the first, the batch, stays free",
    )


def add_data_options(parser: Options) -> None:
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

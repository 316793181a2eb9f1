"""Teacher and calibration inputs in, sparse implicit model out."""

from collections.abc import Mapping

from sim_compress.compilation import companion
from sim_compress.compression.calibration import Calibration
from sim_compress.compression.compressed import Compressed
from sim_compress.compression.prepared import KERNELS, prepared
from sim_compress.compression.resume import RunFolder
from sim_compress.compression.runs import Run
from sim_compress.compression.settings import Settings
from sim_compress.compression.steps.walk import Progress
from sim_compress.core import Convex
from sim_compress.core.engines import Engine, given_or_threads
from sim_compress.model.maps import Shape
from sim_compress.runtime import Checked


@companion(*KERNELS)
def compress(
    network: object,
    inputs: Calibration | Checked,
    settings: Settings,
    progress: Progress = lambda _stage, _part: None,
    engine: Engine | None = None,
    convex: Convex | None = None,
    input_shapes: Mapping[str, Shape] | None = None,
    folder: RunFolder | None = None,
    memory: int | None = None,
) -> Compressed:
    """Sparse rows of M whose states and outputs match the network's.

    Args:
        network: an ONNX file or artifact (its model is compressed further), as a path, as bytes or opened
            with "rb"; an onnx.ModelProto, or what torch.onnx.export returned; a torch module, also a
            compiled, scripted or traced one, or an ExportedProgram; or an opened teacher. All are left as
            they were. A module is read in evaluation mode, whatever mode it is in. Its inputs are those
            parameters of forward for which there are calibration inputs.
        inputs: unlabelled calibration inputs (samples, ...), as one of

            - an array or tensor, or numbers in lists: the only input;
            - a dict of these by input name: keys that the network takes are its inputs, masks among them,
              others are left out, and so are labels, which forward may take for its loss;
            - a list or tuple of batches, each with its samples on the first axis as the network takes them
              (or, of arrays shaped as one sample of an ONNX file, its samples). A batch is an array, a dict
              or a tuple. Arrays that cannot be batches of one input, as there are several, the others have
              fewer axes, or a mask follows ids, are the entries of one batch;
            - a loader, generator or torch Dataset of such batches (a Dataset of samples), of which the first
              4096 samples are taken.

            Entries of a tuple are what the network must be given, in its order, or forward's first parameter
            where it needs none; then masks and further ids that forward may be given, as long as they are
            truth values (or ids) for every position of the first entry; the rest are labels and left out.
            What was left out is in `notes`.
        settings: sparsity, objective, kappa, support, states.
        progress: called with a stage of STAGES and its finished part.
        engine: runs batches of samples, trials, row groups and gradients (`core.engines.engine`); threads of
            this process if not given. The result is the same to the byte.
        convex: f and C of every row in place of the objective, in cvxpy; needs a conic solver. Its rows are
            those of baseline states.
        input_shapes: input name -> sizes of all axes, for an ONNX file that leaves them open; the batch, the
            first of them, stays free.
        folder: where results of steps are kept, from which the same call goes on, to the same bytes, where
            this one ends early; nothing is kept if not given. `RunFolder.complete` removes it.
        memory: bytes that this process, and worker processes on this machine, may take; what is free if not
            given. Where the run would take more, it waits for results sooner, keeps large arrays in files in
            TMPDIR, or makes more passes over the inputs, to the same bytes.

    Raises:
        InputError: the file, the inputs or the settings cannot be used, or the run does not fit into memory.
        SolverError: the solver has no licence, or no rows match exactly at this sparsity.
        MissingExtraError: the solver's package is not installed.
    """
    ready = prepared(network, inputs, settings, convex, input_shapes)
    run = Run(ready, folder, memory)
    with given_or_threads(engine) as workers:
        return run.compressed(settings, progress, workers)

"""Nothing of x86 is in the generated code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from llvmlite import binding

ROOT = Path(__file__).parents[3]
ARM = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "+neon"}


def test_every_kernel_compiles_for_64_bit_arm_on_any_machine():
    binding.initialize_all_targets()
    try:
        binding.Target.from_triple("aarch64-linux-gnu")
    except RuntimeError as error:
        pytest.skip(f"this LLVM has no ARM: {error}")
    command = [sys.executable, "-m", "tests.runtime.compiled.arm"]
    environment = {**os.environ, **ARM}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    # All tiles are written with them; split into single numbers there would be none.
    number, _, what = run.stdout.partition(" ")
    assert what == "vectors of products added\n"
    assert int(number) > 500

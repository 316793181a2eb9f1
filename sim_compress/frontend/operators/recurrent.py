"""Recurrent operators, which the axis pass unrolls."""

from sim_compress.frontend.axes.rules.recurrent import KINDS, MOST_STEPS, recurrent
from sim_compress.frontend.registry import rewritten

for _name in KINDS:
    rewritten(
        _name,
        recurrent,
        "recurrent",
        becomes="its steps, unrolled, whose rows are shared",
        limits=f"constant weights; at most {MOST_STEPS} steps; no clip, peepholes or coupled gates",
    )

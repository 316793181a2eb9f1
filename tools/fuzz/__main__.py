"""Spoil files in thousands of ways: each must be refused by name, or give the same numbers twice.

usage: python -m tools.fuzz {artifacts,networks} [FILE ...] [--first N] [--count N] [--seed S] [--workers W]
       python -m tools.fuzz {artifacts,networks} [FILE ...] --seed S --case N [--keep PLACE]

Artifacts: the scipy and the numba kernel agree, a second reader sees the same rows, and writing and reading
again changes nothing. Networks: the state model agrees with onnxruntime. Each case has 10 s of processor
time and 1 GiB. Exit 1 where one crashes, hangs, disagrees or takes more.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tools.fuzz.outcome import FAULTS, OUTCOMES, Verdict
from tools.fuzz.subject import SUBJECTS, generator, opened
from tools.fuzz.watch import verdicts

COUNTS = {"artifacts": 20_000, "networks": 1_000}


def table(found: Iterable[Verdict]) -> str:
    """Outcomes by kind as a table in Markdown."""
    totals: dict[str, Counter[str]] = {}
    for verdict in found:
        totals.setdefault(verdict.kind, Counter())[verdict.outcome] += 1
    rows = [*sorted(totals.items()), ("all", sum(totals.values(), Counter()))]
    lines = ["| spoilt | tried | " + " | ".join(OUTCOMES) + " |", "|---|" + "---|" * (len(OUTCOMES) + 1)]
    lines += [
        f"| {kind} | {c.total():,} | " + " | ".join(f"{c[o]:,}" for o in OUTCOMES) + " |" for kind, c in rows
    ]
    return "\n".join(lines)


def said(verdict: Verdict) -> str:
    """A verdict in full."""
    return f"case {verdict.case} ({verdict.kind}): {verdict.outcome}\n{verdict.detail}"


def main() -> int:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("subject", choices=SUBJECTS)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--case", type=int, help="this one alone")
    parser.add_argument("--keep", type=Path, help="write the file of the case here")
    args = parser.parse_args()
    files = [file.resolve() for file in args.files]
    cases = range(args.first, args.first + (args.count or COUNTS[args.subject]))
    if args.case is not None:
        cases = range(args.case, args.case + 1)
        if args.keep:
            rng = generator(args.subject, args.seed, args.case)
            args.keep.write_bytes(opened(args.subject, tuple(files)).spoilt(rng).data)
    found = []
    for verdict in verdicts(args.subject, files, args.seed, cases, args.workers):
        found.append(verdict)
        if verdict.outcome in FAULTS or args.case is not None:
            print(said(verdict), flush=True)
    print(table(found))
    most, slowest = max(found, key=lambda v: v.memory), max(found, key=lambda v: v.seconds)
    print(f"most memory: {most.memory / 1e6:.0f} MB (case {most.case})")
    print(f"most processor time: {slowest.seconds:.1f} s (case {slowest.case})")
    return int(any(v.outcome in FAULTS for v in found))


if __name__ == "__main__":
    sys.exit(main())

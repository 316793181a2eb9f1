"""Count onnx's own backend cases by operator: passed, refused, failed.

    python tools/bench/backend_cases.py

Run at the root of the repository; the cases are read as tests/frontend/backend_cases.py says.
"""

import sys
from collections import Counter, defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.frontend.backend_cases import FAILED, PASSED, REFUSED, cases, outcome

OUTCOMES = (PASSED, REFUSED, FAILED)


def main() -> None:
    """Print one line for every operator and the total."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    total: Counter[str] = Counter()
    for case in cases():
        result = outcome(case)
        total[result] += 1
        for operator in case.operators:
            counts[operator][result] += 1
    print(f"{'operator':<28}", *(f"{o:>8}" for o in OUTCOMES))
    for operator in sorted(counts):
        print(f"{operator:<28}", *(f"{counts[operator][o]:>8}" for o in OUTCOMES))
    print(f"{'cases':<28}", *(f"{total[o]:>8}" for o in OUTCOMES))


if __name__ == "__main__":
    main()

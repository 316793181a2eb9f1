"""The loops over the nonzeros of a block of rows, the same for the code and for the weights it reads.

A round of a loop takes one or two columns. A column that is nonzero in several rows has the loop of these
rows: its vector is loaded once and multiplied for each. Columns of a single row are taken in pairs of
different rows, because a row would wait for its own last sum; what is left over of the longer row follows.
"""

from itertools import combinations

# Rows of one block of a tied affine map.
ROWS = 4

Round = tuple[tuple[int, ...], ...]
TWOS: tuple[Round, ...] = tuple(((r,), (r + 1,)) for r in range(0, ROWS, 2))
ONES: tuple[Round, ...] = tuple(((r,),) for r in range(ROWS))
SEVERAL: tuple[Round, ...] = tuple(
    (rows,) for n in range(2, ROWS + 1) for rows in combinations(range(ROWS), n)
)
# Numbers of rounds stored for one block and source: of each loop for single rows, the sum of all others,
# then of each of the others.
COUNTS = len(TWOS) + len(ONES) + 1 + len(SEVERAL)

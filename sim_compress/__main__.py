"""python -m sim_compress: the command sim-compress."""

import sys

from sim_compress.cli import main

sys.exit(main())

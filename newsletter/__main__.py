"""Run the command line: ``newsletter``, or ``python -m newsletter``."""

import gc
import sys

from newsletter.cli import run

_GC_THRESHOLD = 100_000
"""New objects after which garbage is looked for. Python's 700 is a tenth of a build: all that imports make lives on."""


def main() -> None:
    """Run the command that ``sys.argv`` names and exit with its code."""
    gc.set_threshold(_GC_THRESHOLD)
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()

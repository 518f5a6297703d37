"""Run the command line: ``newsletter``, or ``python -m newsletter``."""

import sys

from newsletter.cli import run


def main() -> None:
    """Run the command that ``sys.argv`` names and exit with its code."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()

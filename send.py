#!/usr/bin/env python3
"""What cron runs: send every approved issue whose time has come, and go on with sends that are not finished.

    * * * * *  cd /srv/newsletter && .venv/bin/python send.py

The same as ``newsletter send --due``; options are passed on (``--project DIR`` first, then ``--late``, ``--json``).
"""

import sys

from newsletter.cli import run_due

if __name__ == "__main__":
    sys.exit(run_due(sys.argv[1:]))

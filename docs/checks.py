"""Write the manual of all checks from the checks themselves.

    python docs/checks.py

writes ``docs/checks.md``; a test compares the two.
"""

from pathlib import Path

from newsletter.checks import MANUAL_CHECKS
from newsletter.checks.manual import write_manual

if __name__ == "__main__":
    Path(__file__).with_suffix(".md").write_text(write_manual(MANUAL_CHECKS), encoding="utf-8")

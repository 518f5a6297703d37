"""Say what a process of our own is started with: it must find this package wherever it lies.

Who starts one, and why, stands in the modules that do: ``freezer``, the keeper of the archive, the preview.
"""

import os
from pathlib import Path


def child_environment() -> dict[str, str]:
    """Return the child's environment: it finds this package wherever it is, and speaks UTF-8."""
    places = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places)), "PYTHONIOENCODING": "utf-8"}

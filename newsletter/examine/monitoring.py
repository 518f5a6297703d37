"""Find out whether who watches cron can be told: the folder of the file for Prometheus' node_exporter."""

import os
from collections.abc import Iterator
from pathlib import Path

from newsletter.diagnosis import Finding, error, ok

CHECK = "monitoring"
_WHY = "a cron that has stopped is noticed by the age of this file alone"


def examine_monitoring(textfile: str, root: Path) -> Iterator[Finding]:
    """Yield whether ``[monitoring] textfile`` can be written; nothing where there is none."""
    if not textfile:
        return
    path = root / textfile
    folder = path.parent
    if not folder.is_dir():
        fix = f"make it (install -d {folder}), or correct [monitoring] textfile"
        yield error(CHECK, f"the folder of {path} is not there", _WHY, fix)
    elif not os.access(folder, os.W_OK | os.X_OK) or path.is_dir():
        yield error(CHECK, f"{path} cannot be written", _WHY, "let the user who runs cron write into its folder")
    else:
        yield ok(CHECK, f"{path} can be written", _WHY)

"""Run one command of the newsletter in this process, and write down how much memory it took at most.

``python bench/peak.py FILE ARGUMENTS…`` runs ``newsletter ARGUMENTS`` and writes kilobytes of resident memory to FILE:
of this process, and of the largest of its children. Not ``ru_maxrss`` for itself where there is better: a new process
inherits that number from the one that started it.
"""

import resource
import sys

from newsletter.cli import run


def peak_kb() -> int:
    """Return the most resident memory that this process ever had, in kilobytes."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 (pathlib would count too)
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most // 1024 if sys.platform == "darwin" else most


if __name__ == "__main__":
    code = run(sys.argv[2:])
    children_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    with open(sys.argv[1], "w", encoding="ascii") as file:  # noqa: PTH123 (as above)
        file.write(f"{peak_kb()} {children_kb}")
    sys.exit(code)

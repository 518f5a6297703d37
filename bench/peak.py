"""Run one command of the newsletter in this process, and write down how much memory it took at most.

``python bench/peak.py FILE ARGUMENTS…`` runs ``newsletter ARGUMENTS`` and writes kilobytes of resident memory to FILE:
of this process, and of the largest of its children; and the seconds that planning a send took, 0 where none was
planned. Not ``ru_maxrss`` for itself where there is better: a new process inherits that number from the one that
started it.
"""

import resource
import sys
import time

from newsletter.cli import run


def peak_kb() -> int:
    """Return the most resident memory that this process ever had, in kilobytes."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 (pathlib would count too)
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most // 1024 if sys.platform == "darwin" else most


def time_planning() -> list[float]:
    """Note from now on how long each planning of a send takes, from the call to its commit."""
    from newsletter.store.sends import Sends

    plan, taken = Sends.plan_send, []

    def plan_and_note(*args: object, **values: object) -> object:
        started = time.perf_counter()
        try:
            return plan(*args, **values)  # type: ignore[arg-type]
        finally:
            taken.append(time.perf_counter() - started)

    Sends.plan_send = plan_and_note  # type: ignore[assignment, method-assign]
    return taken


if __name__ == "__main__":
    planning = time_planning() if "send" in sys.argv else []
    code = run(sys.argv[2:])
    children_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    with open(sys.argv[1], "w", encoding="ascii") as file:  # noqa: PTH123 (as above)
        file.write(f"{peak_kb()} {children_kb} {sum(planning)}")
    sys.exit(code)

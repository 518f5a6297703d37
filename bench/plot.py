"""Draw the figures of ``growth.py``: how rate, planning, memory and ledger grow with the recipients, as one SVG.

``python bench/plot.py bench/results/DATE.json docs/images/growth.svg`` draws; the same results give the same bytes.
Written by hand, because four small panels need no library; colours follow the reader's light or dark mode.
"""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_WIDTH, _HEIGHT = 340, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 24, 40, 34
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#444}.title{font-size:14px;font-weight:600;fill:#111}"
    ".line{fill:none;stroke:#b3261e;stroke-width:2.5}.dot{fill:#b3261e}.grid{stroke:#ddd}.limit{stroke:#777;"
    "stroke-dasharray:4 4}@media(prefers-color-scheme:dark){text{fill:#bbb}.title{fill:#eee}.grid{stroke:#444}"
    ".line{stroke:#ff8a80}.dot{fill:#ff8a80}.limit{stroke:#999}}"
)


@dataclass(frozen=True, slots=True)
class Panel:
    """Say what one panel shows: a figure's key, its title, what a value is divided by, and a limit to draw."""

    key: str
    title: str
    scale: float = 1.0
    limit: float | None = None
    is_logarithmic: bool = False


PANELS = (
    Panel("rate", "messages a second"),
    Panel("plan", "planning, seconds", limit=15, is_logarithmic=True),
    Panel("memory", "peak memory of the sender, MB", 1e6, limit=57),
    Panel("ledger", "ledger, bytes a recipient"),
)


def main() -> None:
    """Draw the results that the first argument names into the file that the second does."""
    source, target = map(Path, sys.argv[1:3])
    target.write_text(draw(json.loads(source.read_text(encoding="utf-8"))), encoding="utf-8")


def draw(results: Mapping[str, object]) -> str:
    """Return the SVG of the ``growth`` figures among ``results``."""
    values: dict[str, dict[int, float]] = {}
    for figure in results["figures"]:  # type: ignore[attr-defined]
        section, _, rest = figure["name"].partition(".")
        count, _, key = rest.partition(".")
        if section == "growth":
            values.setdefault(key, {})[int(count)] = figure["value"]
    columns, rows = 2, (len(PANELS) + 1) // 2
    drawn = [
        f'<g transform="translate({number % columns * _WIDTH} {number // columns * _HEIGHT})">'
        f"{_panel(panel, values[panel.key])}</g>"
        for number, panel in enumerate(PANELS)
    ]
    size = f'width="{columns * _WIDTH}" height="{rows * _HEIGHT}" viewBox="0 0 {columns * _WIDTH} {rows * _HEIGHT}"'
    title = "How a send grows with its recipients"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{title}"><style>{_STYLE}</style>'
    return "\n".join([head, *drawn, "</svg>", ""])


def _panel(panel: Panel, values: Mapping[int, float]) -> str:
    counts = sorted(values)
    shown = [values[count] / panel.scale for count in counts]
    ticks = _ticks([*shown, *([panel.limit] if panel.limit else [])], panel.is_logarithmic)
    points = list(zip((_x(count, counts) for count in counts), (_y(each, ticks, panel) for each in shown), strict=True))
    pieces = [f'<text class="title" x="{_LEFT}" y="22">{panel.title}</text>']
    for tick in ticks:
        y = _y(tick, ticks, panel)
        pieces.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        pieces.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:,g}</text>')
    below = f'y="{_HEIGHT - 12}" text-anchor="middle"'
    pieces += [f'<text x="{_x(count, counts):.1f}" {below}>{count:,}</text>' for count in counts]
    if panel.limit:
        y = _y(panel.limit, ticks, panel)
        pieces.append(f'<line class="limit" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        words = f"promised: at most {panel.limit:g}"
        pieces.append(f'<text x="{_WIDTH - _RIGHT}" y="{y - 5:.1f}" text-anchor="end">{words}</text>')
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    pieces.append(f'<polyline class="line" points="{path}"/>')
    pieces += [f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in points]
    return "".join(pieces)


def _x(count: int, counts: Sequence[int]) -> float:
    span = math.log(counts[-1] / counts[0]) or 1.0
    return _LEFT + 14 + (_WIDTH - _LEFT - _RIGHT - 28) * math.log(count / counts[0]) / span


def _y(value: float, ticks: Sequence[float], panel: Panel) -> float:
    low, high = ticks[0], ticks[-1]
    share = math.log(value / low) / math.log(high / low) if panel.is_logarithmic else (value - low) / (high - low)
    return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * share


def _ticks(values: Sequence[float], is_logarithmic: bool) -> list[float]:
    """Return round numbers that hold ``values`` between the first and the last."""
    if is_logarithmic:
        low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        return [10.0**power for power in range(low, max(high, low + 1) + 1)]
    most = max(values) * 1.1
    power = 10.0 ** math.floor(math.log10(most / 4))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power * 4 >= most)
    return [step * number for number in range(math.ceil(most / step) + 1)]


if __name__ == "__main__":
    main()

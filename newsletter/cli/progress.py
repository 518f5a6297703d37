"""A progress bar on a terminal; rich is loaded only here."""

from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from newsletter.store import Result


class ProgressBar:
    """Count the results of a run on standard error while the ``with`` block lasts."""

    def __enter__(self) -> Self:
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._bar = Progress(
            SpinnerColumn(), TextColumn("{task.completed} done"), TimeElapsedColumn(), console=Console(stderr=True)
        )
        self._bar.start()
        self._task = self._bar.add_task("send", total=None)
        return self

    def __call__(self, result: "Result") -> None:
        """Count one result."""
        self._bar.advance(self._task)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

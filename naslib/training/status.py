"""Status: where a training or a search stands, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from naslib.utils.bar import MIN_BAR as MIN_BAR
from naslib.utils.bar import lay_out as lay_out
from naslib.utils.bar import terminal_width as terminal_width

from .metrics import Measured


@dataclass(frozen=True)
class Status:
    """What was measured so far.

    Attributes:
        log: For a log line, which says how many steps are done already.
        terminal: For the line of a terminal, in several wordings, the longest first; each says everything.
    """

    log: str
    terminal: Sequence[str]

    @classmethod
    def of_epochs(
        cls, epoch: int, epochs: int, step: int, steps: int | None, scores: Sequence[tuple[str, Measured]]
    ) -> Status:
        """Return the status of a training.

        Args:
            epoch: Number of the running epoch, from 0.
            epochs: How many there are.
            step: How many batches of it are done.
            steps: How many batches it has, None if unknown.
            scores: What was measured on each split, by its name.
        """
        place = f"epoch {epoch + 1}/{epochs}"
        batch = f"{step}/{steps}" if steps else str(step)
        seen = [(split, measured) for split, measured in scores if measured.count]
        key, unit = (seen[0][1].scores[0].key, seen[0][1].scores[0].unit) if seen else ("", "")
        unit = f" {unit}" if unit else ""
        words = [f"{split} loss {m.loss:.3f} {key} {_number(m.deciding, 2)}{unit}" for split, m in seen]
        losses = "/".join(f"{measured.loss:.3f}" for _, measured in seen)
        exact, rounded = ("/".join(_number(m.deciding, digits) for _, m in seen) for digits in (2, 1))
        return cls(
            log=", ".join([place, *words]),
            terminal=(
                ", ".join([place, f"batch {batch}", *words]),
                f"{place} batch {batch}" + (f" loss {losses} {key} {exact}{unit}" if seen else ""),
                f"{place} {batch}" + (f" loss {losses} {key} {rounded}" if seen else ""),
                f"{epoch + 1}/{epochs} {batch}" + (f" loss {losses} {key} {rounded}" if seen else ""),
                f"{epoch + 1}/{epochs} {batch}" + (f" loss {losses}" if seen else ""),
                f"{epoch + 1}/{epochs} {batch}" + (f" {losses}" if seen else ""),
            ),
        )

    @classmethod
    def of_evaluations(cls, done: int, total: int, valid: float | None, test: float | None) -> Status:
        """Return the status of a search that evaluates one architecture after the other.

        Args:
            done: How many are evaluated.
            total: How many will be.
            valid: Validation accuracy in percent; None for no number.
            test: Test accuracy likewise.
        """
        first, second = ("-" if value is None else f"{value:.2f}" for value in (valid, test))
        return cls(
            log=f"valid acc {first}, test acc {second}",
            terminal=(
                f"evaluation {done}/{total}, valid acc {first}, test acc {second}",
                f"evaluation {done}/{total} acc {first}/{second}",
                f"{done}/{total} {first}/{second}",
            ),
        )

    @classmethod
    def of_trials(
        cls, done: int, total: int | None, name: str, unit: str, best: float | None, failed: int = 0
    ) -> Status:
        """Return the status of a search that evaluates trials.

        Args:
            done: How many are over.
            total: How many there will be, None if unknown.
            name: What is measured.
            unit: Its unit, "" for none.
            best: Of the best trial so far, None without one.
            failed: How many have failed.
        """
        place = f"{done}/{total}" if total else f"{done}"
        value = "-" if best is None else f"{best:.4g}"
        shown = f"{value} {unit}".rstrip()
        losses = f", {failed} failed" if failed else ""
        return cls(
            log=f"best {name} {shown}{losses}",
            terminal=(
                f"trial {place}, best {name} {shown}{losses}",
                f"trial {place} best {value}{losses}",
                f"{place} {value}{losses}",
            ),
        )


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"

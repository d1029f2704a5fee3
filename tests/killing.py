"""What stands for the end of a process, where a run within the test is enough."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from triage.finetune.training_loop import TrainingStep


class Killed(BaseException):
    """Nothing may catch it, like a signal that cannot be caught."""


def killed_after(number: int) -> Callable[[TrainingStep], None]:
    """Listens to a training, and ends it after the step of this number."""

    def listen(step: TrainingStep) -> None:
        if step.number == number:
            raise Killed

    return listen

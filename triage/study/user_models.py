"""The models that the user named for the methods of the study, and what to say where one is not at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from triage.engine.model_folder import pulled_root
from triage.errors import MissingExtra, TriageError, UsageError
from triage.study.protocol import MethodContext

# kind → what it serves; a value is a folder or a pinned hub model, `org/name@COMMIT`.
KINDS: Mapping[str, str] = {
    "nli": "judges entailment: a model folder of triage, or a hub model with ONNX (default: the shipped one)",
    "masked": "guesses masked words; `adapted`: `weights`, after learning the language of the issues",
    "causal": "continues a prompt",
    "there": "translates into another language",
    "back": "translates from that language",
    "weights": "the encoder that is fine-tuned (default: the shipped one)",
}
# In place of a masked language model: the encoder of `weights`, adapted to the issues without labels.
ADAPTED = "adapted"


@dataclass(frozen=True)
class UserModels:
    """Each a folder or a pinned hub model, None where none was named; `translate` is a pair, there and back."""

    nli: str | None = None
    masked: str | None = None
    causal: str | None = None
    translate: tuple[str, str] | None = None
    weights: str | None = None

    @classmethod
    def of(cls, named: Mapping[str, str]) -> UserModels:
        """The models of these KINDS; others are left to whom they serve. Raises UsageError for half a pair."""
        there, back = named.get("there"), named.get("back")
        if (there is None) != (back is None):
            raise UsageError(
                "back-translation takes two models", next_step="name both: --model there=… --model back=…"
            )
        pair = (there, back) if there is not None and back is not None else None
        return cls(named.get("nli"), named.get("masked"), named.get("causal"), pair, named.get("weights"))


def home(means: MethodContext) -> Path:
    """Where adapted models are kept."""
    return means.folder or pulled_root().parent / "adapted"


def why_not(look: Callable[[], object]) -> str:
    """Why looking for something of the extra `train` fails; "" where it is found."""
    try:
        look()
    except ModuleNotFoundError as error:
        return str(MissingExtra(f"{error.name} is not installed", "train")).replace("\n ", ";")
    except TriageError as error:
        return error.what
    return ""


def needed(error: ModuleNotFoundError, what: str) -> MissingExtra:
    """The failure of using what stands under `triage.finetune` without its extra."""
    return MissingExtra(f"{what} needs {error.name}", "train")

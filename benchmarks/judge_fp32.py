"""The cross-encoder before it was made int8, in PyTorch, to see what that cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from triage.arrays import Floats
from triage.engine.model_folder import MODEL_FILE
from triage.engine.zero_shot.cross_encoder import CrossEncoder, Sheet, feeds
from triage.engine.zero_shot.similarity import SimilarityZeroShot
from triage.finetune.weights import SEED, Values, Weights, find_weights, weights_of
from triage.training.cross_encoder import CrossEncoderNetwork as Original
from triage.training.train import with_head

PRODUCT = "/MatMul_Q8"
# What is stored as nought; a block of weights has one scale.
ZERO = 128


class Unquantized(CrossEncoder):
    """As it is served, but for the logits: those of PyTorch, with `weights` or, for None, `likely` ones."""

    def __init__(self, folder: Path, similar: SimilarityZeroShot, weights: Path | None) -> None:
        """Raises ModelError where `folder` holds another kind of model."""
        super().__init__(folder, similar)
        self._original = (trained(weights) if weights else likely(folder)).eval()

    def _logits(self, sheet: Sheet, labels: int) -> Floats:
        given = {name: torch.from_numpy(value) for name, value in feeds(sheet, labels).items()}
        with torch.inference_mode():
            found: Floats = self._original(**given)[0].numpy()
        return found


def trained(folder: Path) -> Original:
    """What a training left in WORK/weights."""
    model = Original(Weights(folder, folder.name, "").open()[0])
    with_head(model, folder)
    return model


def likely(folder: Path) -> Original:
    """Weights that the int8 model in `folder` may have been made of: each of a product anywhere within its step (seed
    SEED). Raises ValueError where some are missing.
    """
    graph = onnx.load(folder / MODEL_FILE)
    stored = {each.name: numpy_helper.to_array(each) for each in graph.graph.initializer}
    found = {**weights_of(graph), "scale": torch.tensor(stored["scale"])}
    rng = np.random.default_rng(SEED)
    for node in graph.graph.node:
        if node.name.endswith(PRODUCT):
            path = node.name.removesuffix(PRODUCT).strip("/").replace("/", ".")
            sizes = {each.name: each.i for each in node.attribute}
            found[f"{path}.weight"] = torch.from_numpy(
                _spread(stored[node.input[1]], stored[node.input[2]], sizes["N"], rng)[:, : sizes["K"]]
            )
    model = Original(find_weights().open()[0])
    missing, unknown = model.load_state_dict(found, strict=False)
    # The pooler is not exported: its output is not used.
    if unknown or any(".pooler." not in name for name in missing):
        raise ValueError(f"the weights of {folder} are not all there: {[*missing, *unknown]}")
    return model


def _spread(whole: Values, scales: Values, rows: int, rng: np.random.Generator) -> Values:
    """The weights of a product, fp32 [out, in]."""
    blocks = whole.reshape(rows, scales.size // rows, -1).astype(np.float32) - ZERO
    within = rng.uniform(-0.5, 0.5, size=blocks.shape)
    spread: Values = ((blocks + within) * scales.reshape(rows, -1, 1)).reshape(rows, -1)
    return spread.astype(np.float32)

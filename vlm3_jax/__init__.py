"""vlm3_jax: training vision-language models to see in 3D, on JAX.

from vlm3_jax import Predictor
metres = Predictor.from_pretrained(CHECKPOINT).depth("a.png", (fx, fy, cx, cy), [(519, 129)])
"""

import os

# transformers is used for tokenizers and configs only; it would advise at each start to get torch.
os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")

__all__ = ["Predictor"]


def __getattr__(name: str):
    # Imported when it is asked for: it brings jax, which geometry and tasks do without.
    if name == "Predictor":
        from vlm3_jax.prediction.predictor import Predictor

        return Predictor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""vlm3_jax: training vision-language models to see in 3D, on JAX."""

import os

# transformers is used for tokenizers and configs only; it would advise at each start to get torch.
os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")

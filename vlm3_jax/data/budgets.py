"""Which budgets of tokens and patches packed rows fill well."""

from dataclasses import dataclass

import numpy as np

from vlm3_jax.data.encoder import Encoder, Size
from vlm3_jax.data.packing import FirstFit
from vlm3_jax.data.pipeline import DataConfig, drawn_samples, open_sources
from vlm3_jax.errors import BadInput

# Lengths that attention kernels take in whole blocks, and whole merge blocks of patches.
_MULTIPLE = 128
_NUM_SIMULATED = 4000  # At least.
_MOST_SAMPLES_A_ROW = 32


@dataclass(frozen=True)
class Filling:
    """Budgets of a row and how full they become."""

    budget: Size
    token_fill: float
    """Share of the tokens of closed rows that is not padding."""
    patch_fill: float
    """Likewise of the patches."""
    samples_per_row: float


def sample_sizes(config: DataConfig, encoder: Encoder, count: int, seed: int) -> np.ndarray:
    """Encodes the samples that training begins with, whatever the budgets.

    Args:
        config: what is trained on.
        encoder: of the model to be trained.
        count: samples to encode.
        seed: of the run.

    Returns:
        int [N, 3], each a `Size`.

    Raises:
        BadInput: a dataset is missing, or a record cannot be used.
    """
    samples = drawn_samples(open_sources(config), config, encoder, seed)
    return np.array([samples[number].sample.size for number in range(count)])


def simulate(sizes: np.ndarray, budget: Size, open_rows: int) -> Filling:
    """Packs samples of the sizes given, int [N, 3], in their order; rows left open do not count.

    The budget of answer tokens comes back as what the fullest row used of it.

    Raises:
        ValueError: the samples close no row.
    """
    packer = FirstFit(budget, open_rows)
    closed = [row for size in sizes.tolist() if (row := packer.add(None, Size(*size)))]
    if not closed:
        raise ValueError(f"{len(sizes)} samples close no row of {budget.tokens} tokens")
    return Filling(
        budget=budget._replace(supervised=max(row.size.supervised for row in closed)),
        token_fill=float(np.mean([row.size.tokens for row in closed])) / budget.tokens,
        patch_fill=float(np.mean([row.size.patches for row in closed])) / budget.patches,
        samples_per_row=float(np.mean([len(row.members) for row in closed])),
    )


def propose(
    sizes: np.ndarray, open_rows: int, token_fill: float, patch_fill: float, seed: int
) -> Filling:
    """Finds the shortest rows that become as full as wanted.

    Whatever the rows, they hold tokens and patches in the ratio of the samples' means. So the
    budget of patches follows from that of tokens and the fills wanted, and one search remains.

    Args:
        sizes: int [N, 3], each the `Size` of a sample; they are packed again and again.
        open_rows: rows that are filled at the same time.
        token_fill: share of a row's tokens that shall not be padding.
        patch_fill: likewise of its patches.
        seed: of the simulated order of samples.

    Raises:
        BadInput: no row of up to 32 samples becomes so full.
    """
    tokens, patches, _ = sizes.mean(axis=0)
    most_tokens, most_patches, _ = sizes.max(axis=0)
    # Each as often as the others, so that the means stay.
    repeated = np.tile(sizes, (-(-_NUM_SIMULATED // len(sizes)), 1))
    shuffled = np.random.default_rng(seed).permutation(repeated)
    best = None
    for max_tokens in range(
        _round_up(most_tokens), _round_up(_MOST_SAMPLES_A_ROW * tokens) + 1, _MULTIPLE
    ):
        proportional = max_tokens * token_fill / tokens * patches / patch_fill
        max_patches = _round_up(max(proportional, most_patches))
        # There are never more answer tokens than tokens, so that budget leaves no sample out.
        filling = simulate(shuffled, Size(max_tokens, max_patches, max_tokens), open_rows)
        if filling.token_fill >= token_fill and filling.patch_fill >= patch_fill:
            return filling
        best = max(best or filling, filling, key=lambda f: f.token_fill)
    raise BadInput(
        f"no row of up to {_MOST_SAMPLES_A_ROW} samples becomes as full as {token_fill:.3f} tokens"
        f" and {patch_fill:.3f} patches; {best.budget.tokens} tokens and {best.budget.patches}"
        f" patches become {best.token_fill:.3f} and {best.patch_fill:.3f}: want less, or set more"
        f" open_rows than {open_rows}."
    )


def _round_up(size: float) -> int:
    return -int(-size // _MULTIPLE) * _MULTIPLE

"""Parameters that training leaves as they are, chosen by patterns of their paths."""

import re
from collections.abc import Sequence

from vlm3_jax.errors import BadInput
from vlm3_jax.models.functional import Params, flatten, unflatten


def split(params: Params, frozen: Sequence[str]) -> tuple[Params, Params]:
    """The parameters that are trained, and those whose path one of the patterns matches whole.

    Both are nested dicts without the other's leaves.
    """
    leaves = flatten(params)
    kept = {path: leaf for path, leaf in leaves.items() if _matches(path, frozen)}
    trained = {path: leaf for path, leaf in leaves.items() if path not in kept}
    return unflatten(trained), unflatten(kept)


def join(trained: Params, kept: Params) -> Params:
    """What `split` took apart."""
    return unflatten(flatten(trained) | flatten(kept))


def check_matches(params: Params, patterns: Sequence[str], setting: str) -> None:
    """Checks that every pattern matches the path of a parameter.

    Raises:
        BadInput: one does not; it names the `setting` and some paths.
    """
    paths = list(flatten(params))
    for pattern in patterns:
        if not any(_matches(path, [pattern]) for path in paths):
            raise BadInput(
                f"{setting} has the pattern {pattern!r}, which matches no parameter: write one that"
                f" matches whole paths such as {paths[0]} or {paths[-1]}."
            )


def _matches(path: str, patterns: Sequence[str]) -> bool:
    return any(re.fullmatch(pattern, path) for pattern in patterns)

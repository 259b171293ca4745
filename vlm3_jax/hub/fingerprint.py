"""Telling checkpoints apart without reading their weights."""

import hashlib
from pathlib import Path

from vlm3_jax.hub import source
from vlm3_jax.hub.folder import assets_dir, weights_dir

_READ_BYTES = 1 << 20


def fingerprint(ckpt: str | Path) -> str:
    """A SHA-256 of a checkpoint's files, those that decide what it says.

    Of configuration, tokenizer and chat template it takes the content. Of files larger than 1 MB,
    the weights, it takes name, size and time of the last change: reading them would take as long as
    loading them. So a changed or retrained checkpoint has another fingerprint, and so has a copy,
    unless the copy keeps the times.

    Args:
        ckpt: a Hugging Face folder, a hub id, or a folder that `train` or `convert` wrote, of which
            the latest step counts.

    Raises:
        BadInput: there is no such checkpoint.
    """
    assets, weights = assets_dir(ckpt), weights_dir(ckpt)
    files = {f"assets/{path.name}": path for path in source.asset_files(assets)}
    if weights != assets:
        found = (path for path in weights.rglob("*") if path.is_file())
        files |= {f"weights/{path.relative_to(weights)}": path for path in found}
    else:
        files |= {f"weights/{path.name}": path for path in source.weight_files(weights)}
    digest = hashlib.sha256()
    for name in sorted(files):
        status = files[name].stat()
        digest.update(f"{name}\0{status.st_size}\0".encode())
        if status.st_size <= _READ_BYTES:
            digest.update(files[name].read_bytes())
        else:
            digest.update(str(status.st_mtime_ns).encode())
    return digest.hexdigest()

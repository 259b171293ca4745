"""The folder that `train` and `convert` write, and reading the parameters of any checkpoint.

DIR/assets/               the Hugging Face folder without its weights
DIR/checkpoints/STEP/     Orbax items: `params`, and from training also optimizer and data state
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from absl import logging

from vlm3_jax.errors import BadInput
from vlm3_jax.hub import source
from vlm3_jax.hub.keys import differences
from vlm3_jax.hub.load import load_hf, placement
from vlm3_jax.hub.new_folder import new_folder
from vlm3_jax.models.functional import Params, abstract_params, flatten, unflatten
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig

ASSETS = "assets"
CHECKPOINTS = "checkpoints"
PARAMS = "params"


def assets_dir(ckpt: str | Path) -> Path:
    """The folder with config, tokenizer and processor of a checkpoint of any kind.

    Args:
        ckpt: a Hugging Face folder, a hub id, or a folder that `train` or `convert` wrote.

    Raises:
        BadInput: it is none of them.
    """
    folder = source.find_folder(ckpt, weights=False)
    if _is_native(folder):
        folder = folder / ASSETS
    if not (folder / "config.json").is_file():
        raise BadInput(
            f"{folder} holds no config.json: give a Hugging Face folder, or one that train or"
            " convert wrote."
        )
    return folder


def weights_dir(ckpt: str | Path) -> Path:
    """The folder with the parameters of a checkpoint of any kind.

    Of a folder of ours it is that of the latest step.

    Raises:
        BadInput: see `assets_dir`.
    """
    folder = source.find_folder(ckpt, weights=True)
    return _latest_params(folder / CHECKPOINTS) if _is_native(folder) else folder


def load_params(ckpt: str | Path, shardings: Any = None, dtype: Any = None) -> tuple[Path, Params]:
    """Reads the parameters of a checkpoint straight to where they shall live.

    Args:
        ckpt: as in `assets_dir`; of a folder of ours the latest step.
        shardings: tree of shardings like the parameters; the first local device if None.
        dtype: type of the parameters; as stored if None.

    Returns:
        The folder of the assets, and the nested dict of arrays.

    Raises:
        BadInput: the checkpoint cannot be found or read, or does not fit its config.
    """
    assets = assets_dir(ckpt)
    folder = Path(ckpt)
    if _is_native(folder):
        return assets, _restore(folder / CHECKPOINTS, assets, shardings, dtype)
    return assets, load_hf(ckpt, shardings, dtype)


def save_params_folder(params: Params, assets: str | Path, dst: str | Path, step: int = 0) -> None:
    """Writes a folder of ours that holds parameters and no training state.

    Raises:
        BadInput: `dst` exists and is not empty.
    """
    limit = host_gb(jax.tree.leaves(params))
    handler = ocp.PyTreeCheckpointHandler(
        save_concurrent_gb=limit, save_device_host_concurrent_gb=limit
    )
    options = ocp.CheckpointManagerOptions(enable_async_checkpointing=False)
    with new_folder(dst) as folder:
        if jax.process_index() == 0:
            (folder / ASSETS).mkdir()
            source.copy_assets(Path(assets), folder / ASSETS)
        with ocp.CheckpointManager(
            folder / CHECKPOINTS, options=options, item_handlers={PARAMS: handler}
        ) as manager:
            manager.save(step, args=ocp.args.Composite(**{PARAMS: ocp.args.PyTreeSave(params)}))


def _is_native(folder: Path) -> bool:
    return (folder / CHECKPOINTS).is_dir()


def _latest_params(checkpoints: Path) -> Path:
    names = ocp.path.step.standard_name_format()
    step = ocp.path.step.latest_step_metadata(checkpoints.absolute(), names)
    if step is None:
        raise BadInput(f"{checkpoints} holds no finished checkpoint: give another folder.")
    return Path(step.path) / PARAMS


def _restore(checkpoints: Path, assets: Path, shardings: Any, dtype: Any) -> Params:
    item = _latest_params(checkpoints)
    try:
        stored = flatten(ocp.StandardCheckpointHandler().metadata(item).tree)
    except (ValueError, OSError) as error:
        raise _unreadable(item, error) from error
    expected = flatten(abstract_params(Qwen3VLConfig.from_folder(assets)))
    problems = differences(
        {path: leaf.shape for path, leaf in stored.items()},
        {path: leaf.shape for path, leaf in expected.items()},
    )
    if problems:
        raise BadInput(
            f"{item} does not fit {assets}/config.json: {'; '.join(problems)}: restore the"
            " config.json that the checkpoint was made with."
        )
    placements = placement(shardings)
    target = {
        path: jax.ShapeDtypeStruct(leaf.shape, dtype or leaf.dtype, sharding=placements(path))
        for path, leaf in stored.items()
    }
    logging.info("restoring %s", item)
    handler = ocp.StandardCheckpointHandler(restore_concurrent_gb=host_gb(target.values()))
    with ocp.Checkpointer(handler) as checkpointer:
        try:
            return checkpointer.restore(item, args=ocp.args.StandardRestore(unflatten(target)))
        except Exception as error:  # Orbax wraps what it could not read in a bare Exception.
            cause = error.__cause__ or error
            if isinstance(cause, ValueError | OSError):
                raise _unreadable(item, cause) from error
            raise


def host_gb(leaves: Iterable[Any]) -> int:
    """What Orbax may hold on the host: the largest parameter in float32, for it refuses less."""
    return 4 * max(leaf.size for leaf in leaves) // 10**9 + 1


def _unreadable(item: Path, error: Exception) -> BadInput:
    reason = str(error).strip().splitlines()[0]
    return BadInput(f"{item} cannot be read ({reason}): give another checkpoint.")

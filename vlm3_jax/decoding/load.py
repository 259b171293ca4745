"""A checkpoint made ready to answer."""

import json
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
from absl import logging
from jax.sharding import Mesh

from vlm3_jax.data.encoder import Encoder
from vlm3_jax.decoding.config import DecodingConfig
from vlm3_jax.decoding.runner import Decoder
from vlm3_jax.errors import BadInput
from vlm3_jax.hub.folder import assets_dir, load_params
from vlm3_jax.models.functional import Params, abstract_params
from vlm3_jax.parallel.mesh import MeshConfig, make_mesh
from vlm3_jax.parallel.sharding import param_shardings


def load_decoder(
    checkpoint: str, dtype: str, mesh: MeshConfig, config: DecodingConfig
) -> tuple[Encoder, Decoder]:
    """Loads a checkpoint's tokenizer, processor and weights.

    Args:
        checkpoint: Hugging Face folder, hub id, or folder that `train` or `convert` wrote.
        dtype: type to compute in.
        mesh: how the weights are laid out over the devices.
        config: batch and longest answer.

    Raises:
        BadInput: the checkpoint cannot be used, or the mesh does not fit the devices.
    """
    devices = make_mesh(mesh.replica, mesh.fsdp, mesh.tensor)
    assets = assets_dir(checkpoint)
    encoder = Encoder.from_folder(assets)
    shardings = param_shardings(abstract_params(encoder.config), devices)
    _, params = load_params(checkpoint, shardings, jnp.dtype(dtype))
    logging.info("loaded %s in %s on %d devices", checkpoint, dtype, devices.size)
    return encoder, make_decoder(encoder, params, assets, devices, config)


def make_decoder(
    encoder: Encoder, params: Params, assets: str | Path, mesh: Mesh, config: DecodingConfig
) -> Decoder:
    """Makes a decoder of parameters that lie on a mesh, in the type to compute in.

    Args:
        encoder: of the same checkpoint.
        params: the parameters.
        assets: folder of the checkpoint's configuration files.
        mesh: where the parameters lie.
        config: batch and longest answer.

    Raises:
        BadInput: the folder does not say which tokens end an answer.
    """
    stop_tokens = read_stop_tokens(assets)
    text_of = cache(lambda token: encoder.decode([token]))
    return Decoder(params, encoder.config, stop_tokens, mesh, config, text_of)


def resolve_dtype(dtype: str) -> str:
    """The type to compute in; `auto` is float32 on a CPU and bfloat16 elsewhere."""
    if dtype != "auto":
        return dtype
    return "float32" if jax.default_backend() == "cpu" else "bfloat16"


def read_stop_tokens(assets: str | Path) -> tuple[int, ...]:
    """Reads the ids that end an answer from a folder's `generation_config.json`.

    A penalty on repetitions that the file may ask for is not applied, and the log says so.

    Raises:
        BadInput: the file is missing, is no JSON, or names no such id.
    """
    path = Path(assets) / "generation_config.json"
    try:
        settings = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise BadInput(f"{path} does not exist: copy it from the model's release.") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is no valid JSON ({error}): fetch the file again.") from error
    ids = settings.get("eos_token_id") if isinstance(settings, dict) else None
    ids = [ids] if isinstance(ids, int) else ids
    if not ids or not all(type(token) is int for token in ids):
        raise BadInput(f"{path} names no eos_token_id: write the id that ends an answer there.")
    if settings.get("repetition_penalty", 1.0) not in (None, 1.0):
        logging.warning(
            "%s: repetition_penalty %s is not applied.", path, settings["repetition_penalty"]
        )
    return tuple(ids)

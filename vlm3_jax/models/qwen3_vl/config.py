"""Shapes and constants of a Qwen3-VL model, read from its checkpoint folder."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoConfig

from vlm3_jax.errors import BadInput


@dataclass(frozen=True)
class VisionConfig:
    """The vision tower."""

    depth: int
    hidden_size: int
    intermediate_size: int
    num_heads: int
    in_channels: int
    patch_size: int
    spatial_merge_size: int
    temporal_patch_size: int
    out_hidden_size: int
    num_position_embeddings: int
    deepstack_visual_indexes: tuple[int, ...]
    rope_theta: float
    image_mean: tuple[float, ...]
    image_std: tuple[float, ...]

    @property
    def position_grid_side(self) -> int:
        """Side of the square table of learned positions."""
        return int(self.num_position_embeddings**0.5)


@dataclass(frozen=True)
class TextConfig:
    """The language model."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    rms_norm_eps: float
    rope_theta: float
    mrope_section: tuple[int, int, int]
    attention_bias: bool


@dataclass(frozen=True)
class Qwen3VLConfig:
    """A dense Qwen3-VL model."""

    vision: VisionConfig
    text: TextConfig
    image_token_id: int
    vision_start_token_id: int
    vision_end_token_id: int
    tie_word_embeddings: bool

    @classmethod
    def from_folder(cls, folder: str | Path) -> "Qwen3VLConfig":
        """Reads `config.json` and `preprocessor_config.json` of a Hugging Face folder.

        Raises:
            BadInput: a file is missing or no JSON, the architecture is another one, or a setting
                changes the computation in a way this model does not have.
        """
        folder = Path(folder)
        raw = _read_json(folder / "config.json")
        if raw.get("model_type") != "qwen3_vl":
            raise BadInput(
                f"{folder}/config.json has model_type {raw.get('model_type')!r}: this version reads"
                " dense Qwen3-VL checkpoints (model_type 'qwen3_vl') only."
            )
        try:
            hf = AutoConfig.from_pretrained(folder, local_files_only=True)
        except Exception as error:  # huggingface_hub raises its own strict-dataclass errors.
            raise BadInput(f"{folder}/config.json is no valid Qwen3-VL config: {error}") from error
        preprocessor = _read_json(folder / "preprocessor_config.json")
        where = f"{folder}/config.json"
        return cls(
            vision=_vision_config(hf.vision_config, preprocessor, where),
            text=_text_config(hf.text_config, where),
            image_token_id=hf.image_token_id,
            vision_start_token_id=hf.vision_start_token_id,
            vision_end_token_id=hf.vision_end_token_id,
            tie_word_embeddings=hf.tie_word_embeddings,
        )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise BadInput(
            f"{path} does not exist: a checkpoint folder needs {path.name} beside its weights."
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is no valid JSON ({error}): fetch the file again.") from error


def _vision_config(hf: Any, preprocessor: dict[str, Any], where: str) -> VisionConfig:
    _require(where, "vision_config.hidden_act", hf.hidden_act, "gelu_pytorch_tanh")
    _require(where, "vision rope_type", hf.rope_parameters["rope_type"], "axial")
    return VisionConfig(
        depth=hf.depth,
        hidden_size=hf.hidden_size,
        intermediate_size=hf.intermediate_size,
        num_heads=hf.num_heads,
        in_channels=hf.in_channels,
        patch_size=hf.patch_size,
        spatial_merge_size=hf.spatial_merge_size,
        temporal_patch_size=hf.temporal_patch_size,
        out_hidden_size=hf.out_hidden_size,
        num_position_embeddings=hf.num_position_embeddings,
        deepstack_visual_indexes=tuple(hf.deepstack_visual_indexes),
        rope_theta=float(hf.rope_parameters["rope_theta"]),
        image_mean=tuple(preprocessor["image_mean"]),
        image_std=tuple(preprocessor["image_std"]),
    )


def _text_config(hf: Any, where: str) -> TextConfig:
    rope = hf.rope_parameters
    _require(where, "text_config.hidden_act", hf.hidden_act, "silu")
    _require(where, "text rope_type", rope["rope_type"], "default")
    return TextConfig(
        vocab_size=hf.vocab_size,
        hidden_size=hf.hidden_size,
        intermediate_size=hf.intermediate_size,
        num_hidden_layers=hf.num_hidden_layers,
        num_attention_heads=hf.num_attention_heads,
        num_key_value_heads=hf.num_key_value_heads,
        head_dim=hf.head_dim,
        rms_norm_eps=hf.rms_norm_eps,
        rope_theta=float(rope["rope_theta"]),
        mrope_section=tuple(rope["mrope_section"]),
        attention_bias=hf.attention_bias,
    )


def _require(where: str, key: str, value: Any, supported: Any) -> None:
    if value != supported:
        raise BadInput(f"{where}: {key} is {value!r}, but the model supports only {supported!r}.")

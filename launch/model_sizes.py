"""Shapes of Qwen3-VL models: the released dense ones, and three small ones of ours."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ModelSize:
    """One shape; the names are those of `config.json`."""

    text: dict[str, Any]
    """`text_config`."""
    vision: dict[str, Any]
    """`vision_config`."""
    tied: bool = True
    """Whether the head shares the token embedding."""
    short_texts: bool = False
    """Whether the tokenizer has the depth task's fixed texts as one token each: a question then
    takes 24 tokens instead of about 120."""


def _text(
    hidden_size: int,
    num_hidden_layers: int,
    intermediate_size: int,
    heads: tuple[int, int],
    head_dim: int = 128,
    mrope_section: tuple[int, int, int] = (24, 20, 20),
    rope_theta: float = 5e6,
    max_position_embeddings: int = 262144,
    vocab_size: int | None = 151936,
) -> dict[str, Any]:
    """The decoder; `heads` are those of queries and of keys; no vocab_size: the tokenizer's."""
    return {
        "hidden_size": hidden_size,
        "num_hidden_layers": num_hidden_layers,
        "intermediate_size": intermediate_size,
        "num_attention_heads": heads[0],
        "num_key_value_heads": heads[1],
        "head_dim": head_dim,
        "max_position_embeddings": max_position_embeddings,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": rope_theta,
            "mrope_section": list(mrope_section),
            "mrope_interleaved": True,
        },
        **({} if vocab_size is None else {"vocab_size": vocab_size}),
    }


def _vision(
    out_hidden_size: int,
    depth: int,
    hidden_size: int,
    intermediate_size: int,
    num_heads: int,
    deepstack: tuple[int, ...],
    num_position_embeddings: int = 2304,
) -> dict[str, Any]:
    return {
        "depth": depth,
        "hidden_size": hidden_size,
        "intermediate_size": intermediate_size,
        "num_heads": num_heads,
        "patch_size": 16,
        "out_hidden_size": out_hidden_size,
        "num_position_embeddings": num_position_embeddings,
        "deepstack_visual_indexes": list(deepstack),
    }


SIZES = {
    # 1.4M parameters: learns depth on two CPU cores.
    "tiny": ModelSize(
        _text(128, 2, 384, (4, 2), 32, (6, 5, 5), 1e4, 4096, vocab_size=None),
        _vision(128, 2, 96, 288, 4, (0, 1), num_position_embeddings=64),
        short_texts=True,
    ),
    # The proportions of a released one: a step takes seconds on a CPU.
    "100m": ModelSize(
        _text(512, 14, 2048, (8, 4), 64, (12, 10, 10), vocab_size=16384),
        _vision(512, 12, 384, 1536, 6, (2, 5, 8)),
    ),
    # 132M parameters, of them 77M in the decoder's layers: where decoding is compared on a CPU.
    "130m": ModelSize(
        _text(768, 12, 2048, (12, 4), 64, (12, 10, 10), vocab_size=8192),
        _vision(768, 8, 512, 2048, 8, (1, 3, 5)),
    ),
    "2b": ModelSize(
        _text(2048, 28, 6144, (16, 8)),
        _vision(2048, 24, 1024, 4096, 16, (5, 11, 17)),
    ),
    "4b": ModelSize(
        _text(2560, 36, 9728, (32, 8)),
        _vision(2560, 24, 1024, 4096, 16, (5, 11, 17)),
    ),
    "8b": ModelSize(
        _text(4096, 36, 12288, (32, 8)),
        _vision(4096, 27, 1152, 4304, 16, (8, 16, 24)),
        tied=False,
    ),
    "32b": ModelSize(
        _text(5120, 64, 25600, (64, 8)),
        _vision(5120, 27, 1152, 4304, 16, (8, 16, 24)),
        tied=False,
    ),
}

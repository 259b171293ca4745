"""A tiny Qwen3-VL made by transformers, and images for it."""

from pathlib import Path

import numpy as np
import torch
from transformers import AutoConfig, GenerationConfig, Qwen3VLForConditionalGeneration

from vlm3_jax.hub.scratch import write_scratch_folder

TEXT = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 4096,
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 5000000.0,
        "mrope_section": [6, 5, 5],
        "mrope_interleaved": True,
    },
}
VISION = {
    "depth": 5,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_heads": 4,
    "patch_size": 16,
    "out_hidden_size": 64,
    "num_position_embeddings": 64,
    "deepstack_visual_indexes": [0, 2, 3],
}
CORPUS = [
    "Given this image, how far is the point at coordinates from the camera?",
    "The coordinates are in normalised format relative to image width and height.",
    "<think> The point is around 2.35 meters away from the camera. </think>",
]


def write_tiny_hf(folder: Path, tie: bool = True, dtype: torch.dtype = torch.float32) -> Path:
    """Random weights large enough that leaving out any term of the model shows."""
    write_scratch_folder(folder, TEXT, VISION, CORPUS, vocab_size=400, tie_word_embeddings=tie)
    model = tiny_torch_model(AutoConfig.from_pretrained(folder)).to(dtype)
    model.generation_config = GenerationConfig.from_pretrained(folder)
    model.save_pretrained(folder)
    return folder


def tiny_torch_model(config) -> Qwen3VLForConditionalGeneration:
    torch.manual_seed(0)
    model = Qwen3VLForConditionalGeneration._from_config(config, attn_implementation="eager")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1:
                centre = 1.0 if "norm" in name and name.endswith("weight") else 0.0
                parameter.copy_(centre + 0.3 * torch.randn_like(parameter))
            else:
                fan_in = parameter[0].numel()
                scale = 1.0 if "embed" in name and parameter.ndim == 2 else fan_in**-0.5
                parameter.copy_(1.2 * scale * torch.randn_like(parameter))
    return model.eval()


def textured_image(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """uint8 [height, width, 3] with gradients, blocks and noise, different everywhere."""
    y, x = np.mgrid[:height, :width]
    waves = np.stack([np.sin(x / 7 + y / 13), np.cos(y / 5), np.sin((x + 2 * y) / 11)], -1)
    blocks = rng.uniform(-1, 1, (height // 8 + 1, width // 8 + 1, 3)).repeat(8, 0).repeat(8, 1)
    noise = rng.normal(0, 0.2, (height, width, 3))
    pixels = 128 + 60 * waves + 40 * blocks[:height, :width] + 40 * noise
    return np.clip(pixels, 0, 255).astype(np.uint8)

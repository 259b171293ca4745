"""The same rows for the torch reference and for the port."""

from typing import NamedTuple

import numpy as np
import torch
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from tests.tiny import textured_image
from vlm3_jax.models.inputs import ImageInputs, TextInputs
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig
from vlm3_jax.models.qwen3_vl.positions import interpolation, mrope_positions, patch_positions


class Row(NamedTuple):
    """One conversation: token ids with expanded image tokens, and its processed images."""

    tokens: np.ndarray
    pixel_values: np.ndarray  # float32 [P, C*T*p*p], by transformers' processor
    grids: list[tuple[int, int]]


def make_row(rng: np.random.Generator, config: Qwen3VLConfig, processor, sizes) -> Row:
    """A row with an image of each size (height, width), random text before, between and after."""
    text = lambda n: rng.integers(0, 256, n).tolist()  # noqa: E731
    tokens, values, grids = text(5), [], []
    for height, width in sizes:
        done = processor(textured_image(rng, height, width), return_tensors="np")
        _, rows, cols = done["image_grid_thw"][0]
        values.append(done["pixel_values"])
        grids.append((int(rows), int(cols)))
        tokens += [config.vision_start_token_id]
        tokens += [config.image_token_id] * (rows * cols // 4) + [config.vision_end_token_id]
        tokens += text(3)
    tokens += text(int(rng.integers(4, 12)))
    return Row(np.array(tokens), np.concatenate(values) if values else np.zeros((0, 1536)), grids)


def make_rows(config: Qwen3VLConfig, folder) -> list[Row]:
    """One image, two images of different sizes, text only."""
    rng = np.random.default_rng(1)
    processor = Qwen2VLImageProcessorPil.from_pretrained(folder)
    layouts = ([(96, 224)], [(64, 160), (128, 96)], [])
    return [make_row(rng, config, processor, sizes) for sizes in layouts]


def port_inputs(
    rows: list[Row], config: Qwen3VLConfig, extra: int = 0
) -> tuple[TextInputs, ImageInputs]:
    """The rows as one padded batch, `extra` tokens and merged patches longer than needed."""
    vision = config.vision
    merge, side = vision.spatial_merge_size, vision.position_grid_side
    length = max(len(row.tokens) for row in rows) + extra
    patches = max(len(row.pixel_values) for row in rows) + extra * merge**2
    text, images = [], []
    for row in rows:
        is_image = row.tokens == config.image_token_id
        text.append(
            TextInputs(
                tokens=row.tokens.astype(np.int32),
                positions=mrope_positions(row.tokens, row.grids, config.image_token_id, merge),
                segment_ids=np.ones(len(row.tokens), np.int32),
                question_ids=np.zeros(len(row.tokens), np.int32),
                visual_index=np.where(is_image, np.cumsum(is_image) - 1, -1).astype(np.int32),
            )
        )
        frames = row.pixel_values.reshape(-1, 3, 2, 256)[:, :, 0]
        pixels = np.rint((frames * 0.5 + 0.5) * 255).astype(np.uint8)
        empty = (np.zeros((0, 4), np.int32), np.zeros((0, 4), np.float32))
        taps = [interpolation(g, side, merge) for g in row.grids] or [empty]
        places = [patch_positions(g, merge) for g in row.grids] or [np.zeros((0, 2), np.int32)]
        segments = np.repeat(np.arange(len(places)) + 1, [len(p) for p in places])
        images.append(
            ImageInputs(
                patches=pixels.reshape(len(pixels), 768),
                segment_ids=segments.astype(np.int32),
                positions=np.concatenate(places),
                interp_indices=np.concatenate([i for i, _ in taps]),
                interp_weights=np.concatenate([w for _, w in taps]),
            )
        )
    return _stack(text, length), _stack(images, patches)


def _stack(rows, length: int):
    def pad(name: str, array: np.ndarray) -> np.ndarray:
        fill = -1 if name == "visual_index" else 0
        width = [(0, length - len(array))] + [(0, 0)] * (array.ndim - 1)
        return np.pad(array, width, constant_values=fill)

    kind = type(rows[0])
    return kind(*(np.stack([pad(n, getattr(r, n)) for r in rows]) for n in kind._fields))


def reference(model: torch.nn.Module, row: Row) -> dict[str, np.ndarray]:
    """Every intermediate result of the torch model on one row, unpadded.

    Keys: `block.i`, `merger`, `deepstack.i`, `layer.i` (after the DeepStack addition), `logits`.
    """
    found: dict[str, np.ndarray] = {}
    handles = []

    def keep(module: torch.nn.Module, name: str) -> None:
        def hook(_, __, output):
            found[name] = output.detach().numpy()

        handles.append(module.register_forward_hook(hook))

    def keep_input(module: torch.nn.Module, name: str) -> None:
        def hook(_, args, kwargs):
            given = args[0] if args else kwargs["hidden_states"]
            found[name] = given.detach().numpy()[0]

        handles.append(module.register_forward_pre_hook(hook, with_kwargs=True))

    visual, language = model.model.visual, model.model.language_model
    for i, block in enumerate(visual.blocks):
        keep(block, f"block.{i}")
    keep(visual.merger, "merger")
    for i, merger in enumerate(visual.deepstack_merger_list):
        keep(merger, f"deepstack.{i}")
    # What a layer is given is the output of the one before plus its DeepStack features.
    for i, following in enumerate([*language.layers[1:], language.norm]):
        keep_input(following, f"layer.{i}")

    tokens = torch.tensor(row.tokens)[None]
    inputs = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
    if row.grids:
        inputs["pixel_values"] = torch.tensor(row.pixel_values)
        inputs["image_grid_thw"] = torch.tensor([[1, h, w] for h, w in row.grids])
        inputs["mm_token_type_ids"] = (tokens == model.config.image_token_id).int()
    with torch.no_grad():
        model.model.rope_deltas = None
        found["logits"] = model(**inputs).logits[0].numpy()
    for handle in handles:
        handle.remove()
    return found

"""The same updates with transformers and torch, as people fine-tune with them, timed."""

import time

import numpy as np
import torch
import transformers
from torch.nn.utils import clip_grad_norm_
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForImageTextToText

from launch.bench.conversations import IGNORED, Conversation, conversations
from launch.bench.plan import WARM_UP_STEPS, Outcome, Plan
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig


def measure(plan: Plan) -> Outcome:
    """Warms up and times updates from the conversations of the batches, padded and batched.

    Parameters are kept in float32; with bfloat16 compute the forward pass runs under autocast.
    Attention is torch's SDPA. Gradient checkpointing is on if either of our towers computes again.
    """
    config = plan.config
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = AutoModelForImageTextToText.from_pretrained(
        plan.weights, dtype=torch.float32, attn_implementation="sdpa"
    ).to(device)
    model.train()
    remat = config.model.remat
    if remat.text != "none" or remat.vision != "none":
        model.gradient_checkpointing_enable({"use_reentrant": False})
    rates = config.optimizer
    # Any rate will do: the work is the same.
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=1e-6,
        betas=(rates.beta1, rates.beta2),
        eps=rates.epsilon,
        weight_decay=rates.weight_decay,
        fused=True,
    )
    vision = Qwen3VLConfig.from_folder(plan.weights).vision
    updates = [conversations(batch, vision) for batch in plan.batches]

    def update(number: int) -> tuple[float, float]:
        items = updates[number % len(updates)]
        count = sum(int((item.labels != IGNORED).sum()) for item in items)
        total = 0.0
        for start in range(0, len(items), plan.conversations_at_a_time):
            inputs = _inputs(
                items[start : start + plan.conversations_at_a_time],
                model.config.image_token_id,
                device,
            )
            with torch.autocast(
                device, torch.bfloat16, enabled=config.model.compute_dtype == "bfloat16"
            ):
                loss = model(**inputs, num_items_in_batch=count).loss
            loss.backward()
            total += float(loss.detach())
        limit = float("inf") if rates.clip_norm is None else rates.clip_norm
        norm = float(clip_grad_norm_(model.parameters(), limit))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return total, norm

    started = time.perf_counter()
    first_loss, first_grad_norm = update(0)
    for number in range(1, WARM_UP_STEPS):
        update(number)
    _wait(device)
    start_seconds = time.perf_counter() - started

    started = time.perf_counter()
    for number in range(len(updates)):
        update(number)
    _wait(device)
    seconds = time.perf_counter() - started
    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    return Outcome(
        seconds,
        start_seconds,
        first_loss,
        first_grad_norm,
        f"torch {torch.__version__}, transformers {transformers.__version__}, {name},"
        f" {torch.get_num_threads()} threads",
    )


def _inputs(items: list[Conversation], image_token: int, device: str) -> dict[str, torch.Tensor]:
    tokens = pad_sequence([torch.from_numpy(item.tokens) for item in items], batch_first=True)
    lengths = torch.tensor([len(item.tokens) for item in items])
    inputs = {
        "input_ids": tokens,
        "attention_mask": (torch.arange(tokens.shape[1]) < lengths[:, None]).long(),
        "labels": pad_sequence(
            [torch.from_numpy(item.labels) for item in items],
            batch_first=True,
            padding_value=IGNORED,
        ),
        "pixel_values": torch.from_numpy(np.concatenate([item.pixels for item in items])),
        "image_grid_thw": torch.from_numpy(np.concatenate([item.grids for item in items])),
        "mm_token_type_ids": (tokens == image_token).int(),
    }
    return {name: tensor.to(device) for name, tensor in inputs.items()}


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()

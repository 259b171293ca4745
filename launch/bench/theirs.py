"""The same updates with transformers and torch, as people fine-tune with them, timed."""

import time
from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np
import torch
import transformers
from torch.nn.utils import clip_grad_norm_, get_total_norm
from torch.nn.utils.rnn import pad_sequence

from launch.bench.conversations import IGNORED, Conversation, conversations
from launch.bench.plan import Outcome, Plan
from launch.bench.torch_device import synchronize, torch_device
from launch.bench.torch_model import autocast_dtype, load_model, make_optimizer
from vlm3_jax.errors import BadInput
from vlm3_jax.models.inputs import Batch
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig

Part = dict[str, torch.Tensor]
"""Arguments of the model for some conversations, padded to the longest."""


def measure(plan: Plan) -> Outcome:
    """Warms up and times updates from the conversations of the batches.

    Raises:
        BadInput: torch cannot do what the configuration asks for.
    """
    device = torch_device(plan.platform)
    trainer = Trainer(plan, device)
    started = time.perf_counter()
    size = plan.conversations_at_a_time or trainer.fastest_size(plan.batches[0])
    start_seconds = time.perf_counter() - started

    # Padded beforehand, as worker processes of a loader do it.
    warm_up = [trainer.parts(batch, size) for batch in plan.warm_up]
    timed = [trainer.parts(batch, size) for batch in plan.batches]
    history = [trainer.update(parts) for parts in warm_up]
    synchronize(device)

    started = time.perf_counter()
    history += [trainer.update(parts) for parts in timed]
    synchronize(device)
    seconds = time.perf_counter() - started

    on_gpu = device.type == "cuda"
    is_real = torch.cat([part["attention_mask"].flatten() for parts in timed for part in parts])
    return Outcome(
        seconds=seconds,
        start_seconds=start_seconds,
        first_loss=float(history[0][0]),
        first_grad_norm=float(history[0][1]),
        last_loss=float(history[-1][0]),
        peak_bytes=torch.cuda.max_memory_allocated() if on_gpu else None,
        about={
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "device": torch.cuda.get_device_name() if on_gpu else "cpu",
            "threads": torch.get_num_threads(),
            "attention": plan.torch_attention,
            "conversations_at_a_time": size,
            "token_fill": float(is_real.float().mean()),
        },
    )


class Trainer:
    """A model, its optimizer, and updates that are ours in other words."""

    def __init__(self, plan: Plan, device: torch.device):
        config = plan.config
        self._device = device
        self._shapes = Qwen3VLConfig.from_folder(plan.weights)
        self._autocast_dtype = autocast_dtype(config.model)
        self._model = load_model(plan.weights, config.model, plan.torch_attention, device)
        self._optimizer = make_optimizer(self._model, self._shapes, config.optimizer)
        self._clip_norm = config.optimizer.clip_norm
        self._rates = iter(plan.learning_rates)

    def parts(self, batch: Batch, size: int) -> list[Part]:
        """The conversations of a batch, `size` at a time, those of similar length together."""
        ordered = sorted(self._conversations(batch), key=lambda one: len(one.tokens))
        return [self._pad(ordered[i : i + size]) for i in range(0, len(ordered), size)]

    def update(self, parts: Sequence[Part]) -> tuple[torch.Tensor, torch.Tensor]:
        """One update; returns the loss and the gradient's norm before clipping."""
        loss = self._accumulate(parts)
        trained = [p for group in self._optimizer.param_groups for p in group["params"]]
        if self._clip_norm is None:
            norm = get_total_norm([p.grad for p in trained if p.grad is not None])
        else:
            norm = clip_grad_norm_(trained, self._clip_norm)
        rate = next(self._rates)
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["multiplier"]
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return loss, norm

    def fastest_size(self, batch: Batch) -> int:
        """The number of conversations that takes the least time, of 1, 2, 4, ... and all.

        Raises:
            BadInput: not even one fits in memory.
        """
        count = len(self._conversations(batch))
        seconds = {}
        for size in sorted({2**i for i in range(count.bit_length())} | {count}):
            try:
                seconds[size] = self._time(self.parts(batch, size))
            except torch.OutOfMemoryError:
                break
        if not seconds:
            raise BadInput(
                "torch runs out of memory with one conversation at a time: choose a smaller model"
                " or config.model.param_dtype 'bfloat16', or give --notorch."
            )
        return min(seconds, key=seconds.get)

    def _time(self, parts: Sequence[Part]) -> float:
        """Least seconds of two passes forward and backward."""
        seconds = []
        for _ in range(2):
            started = time.perf_counter()
            self._accumulate(parts)
            synchronize(self._device)
            seconds.append(time.perf_counter() - started)
            self._optimizer.zero_grad(set_to_none=True)
        return min(seconds)

    def _accumulate(self, parts: Sequence[Part]) -> torch.Tensor:
        """Adds the gradient of the mean over all answer tokens of the parts; returns that mean."""
        num_supervised = sum(int((part["labels"] != IGNORED).sum()) for part in parts)
        total = torch.zeros((), device=self._device)
        for part in parts:
            inputs = {name: x.to(self._device, non_blocking=True) for name, x in part.items()}
            with self._autocast():
                loss = self._model(**inputs, num_items_in_batch=num_supervised).loss
            loss.backward()
            total += loss.detach()
        return total

    def _autocast(self) -> torch.autocast | nullcontext:
        if self._autocast_dtype is None:
            return nullcontext()
        return torch.autocast(self._device.type, self._autocast_dtype)

    def _conversations(self, batch: Batch) -> list[Conversation]:
        return conversations(batch, self._shapes.vision)

    def _pad(self, several: Sequence[Conversation]) -> Part:
        """Fills up at the end."""
        tokens = [torch.from_numpy(one.tokens) for one in several]
        labels = [torch.from_numpy(one.labels) for one in several]
        input_ids = pad_sequence(tokens, batch_first=True)
        part = {
            "input_ids": input_ids,
            "attention_mask": pad_sequence([torch.ones_like(t) for t in tokens], batch_first=True),
            "labels": pad_sequence(labels, batch_first=True, padding_value=IGNORED),
            "mm_token_type_ids": (input_ids == self._shapes.image_token_id).int(),
        }
        pixels = np.concatenate([one.pixels for one in several])
        if len(pixels):
            part["pixel_values"] = torch.from_numpy(pixels)
            part["image_grid_thw"] = torch.from_numpy(np.concatenate([o.grids for o in several]))
        if self._device.type == "cuda":
            part = {name: tensor.pin_memory() for name, tensor in part.items()}
        return part

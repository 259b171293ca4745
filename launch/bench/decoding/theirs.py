"""The same questions through transformers' `generate`, timed."""

import os
import time
from collections.abc import Sequence

import numpy as np
import torch
import transformers
from transformers import Qwen3VLForConditionalGeneration

from launch.bench.conversations import image_grids, pixel_values
from launch.bench.decoding.plan import Answers, Outcome, Pass, Plan, TorchSide
from launch.bench.torch_device import synchronize, torch_device
from vlm3_jax.data.chat import Sample
from vlm3_jax.data.encoder import Encoded, Encoder

_WARM_UP_TOKENS = 2


def measure(plan: Plan, side: TorchSide) -> Outcome:
    """Answers some of the questions, each from its image and text on, greedily with a KV cache.

    Raises:
        BadInput: torch does not run where jax does.
    """
    device = torch_device(plan.platform)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    transformers.logging.set_verbosity_error()  # It warns that no token will end an answer.
    transformers.logging.disable_progress_bar()
    started = time.perf_counter()
    generator = Generator(plan, device)
    keys = plan.for_torch(side)
    batches = [keys[i : i + side.batch] for i in range(0, len(keys), side.batch)]
    generator.answer(batches[0], _WARM_UP_TOKENS)
    synchronize(device)
    start_seconds = time.perf_counter() - started

    answers: Answers = {}
    started = time.perf_counter()
    for batch in batches:
        answers |= generator.answer(batch, plan.max_new_tokens)
    seconds = time.perf_counter() - started
    on_gpu = device.type == "cuda"
    return Outcome(
        (Pass(plan.counts[-1], seconds, answers),),
        start_seconds,
        {
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "device": torch.cuda.get_device_name() if on_gpu else "cpu",
            "threads": torch.get_num_threads(),
            "attention": plan.torch_attention,
            "batch": side.batch,
            **({"peak_gb": round(torch.cuda.max_memory_allocated() / 1e9, 2)} if on_gpu else {}),
        },
    )


class Generator:
    """A model, and inputs for it: our tokens and pixels, which are equal to its processor's."""

    def __init__(self, plan: Plan, device: torch.device):
        self._samples = plan.samples
        self._device = device
        self._encoder = Encoder.from_folder(plan.weights)
        self._model = (
            Qwen3VLForConditionalGeneration.from_pretrained(
                plan.weights,
                dtype=getattr(torch, plan.dtype),
                attn_implementation=plan.torch_attention,
            )
            .to(device)
            .eval()
        )
        self._stop_tokens = self._model.generation_config.eos_token_id

    def answer(self, keys: Sequence[tuple[int, int]], max_new_tokens: int) -> Answers:
        """Answers the questions as one batch."""
        # Encoded anew for every question, image and all, as the notebook does.
        prompts = [self._encode(self._samples[image], turn) for image, turn in keys]
        inputs = {name: x.to(self._device) for name, x in self._pad(prompts).items()}
        with torch.inference_mode():
            tokens = self._model.generate(
                **inputs, max_new_tokens=max_new_tokens, do_sample=False, repetition_penalty=1.0
            )
        new = tokens[:, inputs["input_ids"].shape[1] :].tolist()
        return {key: self._until_stop(ids) for key, ids in zip(keys, new, strict=True)}

    def _encode(self, sample: Sample, turn: int) -> Encoded:
        return self._encoder.encode_prompt(sample.alone(turn))

    def _pad(self, prompts: Sequence[Encoded]) -> dict[str, torch.Tensor]:
        """Fills up in front, as decoder-only models are batched for `generate`."""
        config = self._encoder.config
        length = max(len(prompt.text.tokens) for prompt in prompts)
        ids = np.full((len(prompts), length), self._model.generation_config.pad_token_id, np.int64)
        mask = np.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            start = length - len(prompt.text.tokens)
            ids[row, start:], mask[row, start:] = prompt.text.tokens, 1
        images = [prompt.images for prompt in prompts]
        grids = [image_grids(image.segment_ids, image.positions) for image in images]
        patches = np.concatenate([image.patches for image in images])
        arrays = {
            "input_ids": ids,
            "attention_mask": mask,
            "mm_token_type_ids": (ids == config.image_token_id).astype(np.int32),
            "pixel_values": pixel_values(patches, config.vision),
            "image_grid_thw": np.concatenate(grids),
        }
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def _until_stop(self, ids: Sequence[int]) -> tuple[int, ...]:
        """An answer with its stop token, without the padding behind it."""
        ends = np.flatnonzero(np.isin(ids, self._stop_tokens))
        return tuple(ids[: ends[0] + 1] if len(ends) else ids)

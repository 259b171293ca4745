"""What transformers says: its own processor, its own `generate`."""

import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoTokenizer, Qwen3VLProcessor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from vlm3_jax.data.chat import Sample


class Processor(Qwen3VLProcessor):
    """Qwen3-VL's processor without its video part, which would ask for torchvision."""

    def check_argument_for_proper_class(self, *_):
        pass

    @classmethod
    def of(cls, folder: Path) -> "Processor":
        tokenizer = AutoTokenizer.from_pretrained(folder)
        images = Qwen2VLImageProcessorPil.from_pretrained(folder)
        return cls(images, tokenizer, None, chat_template=tokenizer.chat_template)


def write_lively_hf(source: Path, folder: Path) -> Path:
    """A copy of a tiny model with sharper attention, whose answers do not settle on one token."""
    shutil.copytree(source, folder)
    model = AutoModelForImageTextToText.from_pretrained(source)
    with torch.no_grad():
        for name, parameter in model.model.language_model.named_parameters():
            if "q_norm" in name or "k_norm" in name:
                parameter *= 2
    model.save_pretrained(folder)
    return folder


class Reference:
    """Greedy answers of transformers, in float32, one prompt at a time."""

    def __init__(self, folder: Path):
        self.processor = Processor.of(folder)
        self.model = AutoModelForImageTextToText.from_pretrained(folder).eval()

    def inputs(self, sample: Sample):
        """The processor's tensors for a conversation whose only turn awaits its answer."""
        (turn,) = sample.turns
        content = [{"type": "image", "image": Image.fromarray(image)} for image in sample.images]
        content.append({"type": "text", "text": turn.prompt})
        return self.processor.apply_chat_template(
            [{"role": "user", "content": content}],
            tokenize=True,
            add_generation_prompt=True,
            return_dict=True,
            return_tensors="pt",
        )

    def generate(self, sample: Sample, max_new_tokens: int, stop_tokens: list[int]) -> list[int]:
        inputs = self.inputs(sample)
        with torch.no_grad():
            tokens = self.model.generate(
                **inputs,
                max_new_tokens=max_new_tokens,
                do_sample=False,
                eos_token_id=stop_tokens,
            )
        return tokens[0, inputs["input_ids"].shape[1] :].tolist()


def liveliness(answers: list[list[int]]) -> float:
    """Share of tokens that differ from the one before: near 0 where answers repeat one token."""
    return float(np.mean([a != b for answer in answers for a, b in pairwise(answer)]))

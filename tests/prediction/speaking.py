"""Models that say one thing, and one that says what it is told."""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from transformers import AutoConfig, AutoTokenizer, GenerationConfig

from tests.tiny import CORPUS, TEXT, VISION, tiny_torch_model
from vlm3_jax.data.encoder import Encoder
from vlm3_jax.decoding.runner import Answer
from vlm3_jax.hub.scratch import TURN_END, write_scratch_folder
from vlm3_jax.tasks import depth


def write_speaking_hf(folder: Path, phrases: list[str]) -> Path:
    """A checkpoint that answers with the phrases, a token each, whatever it is asked.

    Its layers add nothing, so the last token alone decides the next one: the line break that ends
    a prompt is followed by the first phrase, each phrase by the one behind it.
    """
    write_scratch_folder(
        folder,
        TEXT | {"num_hidden_layers": 1},
        VISION | {"depth": 1, "deepstack_visual_indexes": [0]},
        CORPUS,
        # A short prompt makes short tests.
        phrases=[*depth.PROMPT.split("({x}, {y})"), *phrases],
        tie_word_embeddings=False,
    )
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = tiny_torch_model(AutoConfig.from_pretrained(folder))
    text = model.model.language_model
    said = ["\n", *phrases, TURN_END]
    ids = [tokenizer(part, add_special_tokens=False).input_ids for part in said]
    assert all(len(token) == 1 for token in ids)
    with torch.no_grad():
        for layer in text.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        text.norm.weight.fill_(1)
        model.lm_head.weight.zero_()
        for (before,), (behind,) in pairwise(ids):
            model.lm_head.weight[behind] = text.embed_tokens.weight[before]
    model.generation_config = GenerationConfig.from_pretrained(folder)
    model.save_pretrained(folder)
    return folder


class Told:
    """In a decoder's place: answers a prompt with what it is told to."""

    def __init__(self, encoder: Encoder, say: Callable[[str], str]):
        """Args: the answer to a prompt."""
        self._encoder, self._say = encoder, say
        self.patches: list[list[int]] = []
        """Of each image of each group."""
        self.expected: str | None = None

    def expect(self, answer: tuple[int, ...]) -> None:
        self.expected = self._encoder.decode(answer)

    def answer(self, groups: Iterable[list]) -> Iterator[Answer]:
        for group in groups:
            if group:
                self.patches.append(np.bincount(group[0].images.segment_ids)[1:].tolist())
            for prompt in group:
                asked = self._encoder.decode(prompt.text.tokens.tolist())
                text = self._say(asked.removeprefix("user\n").removesuffix("\nassistant\n"))
                tokens = self._encoder.tokenizer(text, add_special_tokens=False).input_ids
                yield Answer(tuple(tokens), finished=True, log_probability=0.0)


class Oracle(Told):
    """Answers a prompt about the point (x, y) of 0..2000 with a depth."""

    def __init__(self, encoder: Encoder, depth_of: Callable[[int, int], float | str]):
        """Args: the depth of a point, or another answer."""

        def say(prompt: str) -> str:
            x, y = re.search(r"coordinates \((\d+), (\d+)\)", prompt).groups()
            said = depth_of(int(x), int(y))
            return said if isinstance(said, str) else depth.format_answer(said)

        super().__init__(encoder, say)

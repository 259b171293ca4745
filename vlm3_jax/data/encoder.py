"""Samples to tokens, positions, patches and targets; the same for training and evaluation."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple

import jinja2
import numpy as np
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from vlm3_jax.data.chat import Sample, Turn
from vlm3_jax.data.images import ImageBackend, ImageProcessor
from vlm3_jax.errors import BadInput
from vlm3_jax.models.inputs import ImageInputs, TextInputs
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig
from vlm3_jax.models.qwen3_vl.positions import interpolation, mrope_positions, patch_positions

QuestionMode = Literal["turns", "independent"]


class Size(NamedTuple):
    """What a sample or a row takes of each budget, or a budget itself."""

    tokens: int
    patches: int
    supervised: int
    """Answer tokens."""


@dataclass(frozen=True)
class Encoded:
    """A sample or a row: the arrays of a `Batch` without their first axis and without padding."""

    key: str
    text: TextInputs
    images: ImageInputs
    targets: np.ndarray
    """int32 [L]."""
    loss_weights: np.ndarray
    """float32 [L]."""
    source_ids: np.ndarray
    """int32 [L]; 0 until a mixture says which of its sources the sample is of."""

    @property
    def size(self) -> Size:
        """What it takes of each budget."""
        supervised = int(np.count_nonzero(self.loss_weights))
        return Size(len(self.text.tokens), len(self.images.patches), supervised)


@dataclass(frozen=True)
class _Conversation:
    tokens: np.ndarray
    """int32 [L], an image's placeholder repeated for each of its language tokens."""
    is_answer: np.ndarray
    """bool [L]: the answers with the token that closes each."""


@dataclass(frozen=True)
class Encoder:
    """A checkpoint's own tokenizer, chat template and image processing."""

    config: Qwen3VLConfig
    tokenizer: PreTrainedTokenizerBase = field(repr=False)
    image_processor: ImageProcessor

    @classmethod
    def from_folder(cls, folder: str | Path) -> "Encoder":
        """Opens a Hugging Face folder; the weights are not needed.

        Raises:
            BadInput: a file is missing or cannot be used.
        """
        config = Qwen3VLConfig.from_folder(folder)
        encoder = cls(config, _load_tokenizer(folder), ImageProcessor.from_folder(folder))
        # Without its files a tokenizer opens all the same, and knows no token.
        if config.image_token_id not in encoder._special_tokens:
            raise BadInput(
                f"{folder}: its tokenizer has no special token {config.image_token_id}, the image"
                " token of config.json: fetch the checkpoint's tokenizer files."
            )
        return encoder

    def with_backend(self, backend: ImageBackend) -> "Encoder":
        """The encoder with another image backend."""
        return replace(self, image_processor=replace(self.image_processor, backend=backend))

    def encode(self, sample: Sample, questions: QuestionMode = "turns") -> Encoded:
        """Encodes a sample whose turns are all answered; the loss is on the answers.

        Args:
            sample: what to encode.
            questions: 'turns' makes one conversation, in which a question sees those before it.
                'independent' makes every turn a conversation of its own: the tokens with which all
                of them begin, images included, stand once, and the rest of each turn has the tokens
                and positions that it has when it is alone.

        Raises:
            BadInput: a text contains a special token, an image cannot be resized, or the chat
                template renders a conversation otherwise than its beginnings.
        """
        images, grids = self._encode_images(sample)
        if questions == "turns":
            conversation = self._converse(sample, grids)
            return self._row(sample.key, images, grids, [conversation], len(conversation.tokens))
        alone = [self._converse(sample.alone(i), grids) for i in range(len(sample.turns))]
        return self._row(sample.key, images, grids, alone, _common_prefix(alone))

    def encode_prompt(self, sample: Sample) -> Encoded:
        """Encodes a sample for the model to answer its last turn, whose own answer is left out.

        Raises:
            BadInput: see `encode`.
        """
        if any(turn.answer is None for turn in sample.turns[:-1]):
            raise ValueError(f"{sample.key} has a turn without an answer before its last")
        images, grids = self._encode_images(sample)
        return self._prompt_row(sample, images, grids)

    def encode_prompts(self, sample: Sample) -> list[Encoded]:
        """Encodes each turn as a prompt of its own; all of them hold the same image arrays.

        Raises:
            BadInput: see `encode`.
        """
        images, grids = self._encode_images(sample)
        turns = range(len(sample.turns))
        return [self._prompt_row(sample.alone(i), images, grids) for i in turns]

    def encode_answer(self, text: str) -> tuple[int, ...]:
        """The tokens of an answer, with the one that closes it."""
        row = self.encode(Sample((), (Turn("?", text),), key="an answer"))
        return tuple(row.targets[row.loss_weights > 0].tolist())

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens, without special ones."""
        return self.tokenizer.decode(tokens, skip_special_tokens=True)

    def _encode_images(self, sample: Sample) -> tuple[ImageInputs, list[tuple[int, int]]]:
        """All patches of the sample's images, and the grid (rows, columns) of each image."""
        merge, side = self.image_processor.merge_size, self.config.vision.position_grid_side
        parts = [_no_patches(self.image_processor.patch_values)]
        grids = []
        for number, image in enumerate(sample.images, start=1):
            name = f"image {number} of {sample.key}"
            patches, grid = self.image_processor.patches(image, name)
            segment_ids = np.full(len(patches), number, np.int32)
            positions = patch_positions(grid, merge)
            parts.append(
                ImageInputs(patches, segment_ids, positions, *interpolation(grid, side, merge))
            )
            grids.append(grid)
        return ImageInputs(*map(np.concatenate, zip(*parts, strict=True))), grids

    def _converse(self, sample: Sample, grids: list[tuple[int, int]]) -> _Conversation:
        """Tokens of a conversation; its answers are found by rendering it up to each of them."""
        if any(turn.answer is None for turn in sample.turns):
            raise ValueError(f"{sample.key} has a turn without an answer")
        self._refuse_special_tokens(sample)
        turns = range(1, len(sample.turns) + 1)
        prompts = [self._render(sample, i, last_answer=False) for i in turns]
        answered = [self._render(sample, i, last_answer=True) for i in turns]
        whole = answered[-1]

        # The text is cut behind each answer, and each cut piece is a question and its answer.
        cuts = [0]
        for prompt, text in zip(prompts, answered, strict=True):
            # No answer has a special token of its own, so the first one closes it.
            closing = self._special_pattern.search(text, len(prompt))
            if not (
                closing and text.startswith(prompt) and whole.startswith(text[: closing.end()])
            ):
                raise _unanswerable(sample.key)
            cuts.append(closing.end())
        questions = [prompt[cut:] for prompt, cut in zip(prompts, cuts[:-1], strict=True)]
        pieces = [whole[start:end] for start, end in pairwise(cuts)]
        tokens, *parts = self._tokenize([whole, *questions, *pieces])

        is_answer = np.zeros(len(tokens), bool)
        start = 0
        for question, piece in zip(parts[: len(turns)], parts[len(turns) :], strict=True):
            begun, end = start + len(question), start + len(piece)
            if not (
                np.array_equal(tokens[start:begun], question)
                and np.array_equal(tokens[start:end], piece)
            ):
                raise _unanswerable(sample.key)
            is_answer[begun:end] = True
            start = end
        return self._expand(sample, grids, tokens, is_answer)

    def _prompt_row(
        self, sample: Sample, images: ImageInputs, grids: list[tuple[int, int]]
    ) -> Encoded:
        self._refuse_special_tokens(sample)
        (tokens,) = self._tokenize([self._render(sample, len(sample.turns), last_answer=False)])
        conversation = self._expand(sample, grids, tokens, np.zeros(len(tokens), bool))
        return self._row(sample.key, images, grids, [conversation], len(conversation.tokens))

    def _expand(
        self,
        sample: Sample,
        grids: list[tuple[int, int]],
        tokens: np.ndarray,
        is_answer: np.ndarray,
    ) -> _Conversation:
        """Repeats the placeholder of each image for the language tokens that the image becomes."""
        placeholders = np.flatnonzero(tokens == self.config.image_token_id)
        if len(placeholders) != len(grids):
            raise BadInput(
                f"{sample.key}: the checkpoint's chat template renders {len(placeholders)} image"
                f" placeholders for {len(grids)} images; use the template of a Qwen3-VL checkpoint."
            )
        counts = np.ones(len(tokens), np.int64)
        area = self.image_processor.merge_size**2
        counts[placeholders] = [rows * cols // area for rows, cols in grids]
        return _Conversation(np.repeat(tokens, counts), np.repeat(is_answer, counts))

    def _row(
        self,
        key: str,
        images: ImageInputs,
        grids: list[tuple[int, int]],
        conversations: list[_Conversation],
        shared: int,
    ) -> Encoded:
        """Lays conversations side by side; their first `shared` tokens are equal and stand once."""
        image_token, merge = self.config.image_token_id, self.image_processor.merge_size
        columns = []
        for number, conversation in enumerate(conversations, start=1):
            tokens, is_answer = conversation.tokens, conversation.is_answer
            column = (
                tokens,
                mrope_positions(tokens, grids, image_token, merge),
                np.where(np.arange(len(tokens)) < shared, 0, number).astype(np.int32),
                np.append(tokens[1:], np.int32(0)),
                np.append(is_answer[1:], False).astype(np.float32),
            )
            start = 0 if number == 1 else shared
            columns.append([array[start:] for array in column])
        tokens, positions, question_ids, targets, loss_weights = map(
            np.concatenate, zip(*columns, strict=True)
        )
        is_image = tokens == image_token
        text = TextInputs(
            tokens=tokens,
            positions=positions,
            segment_ids=np.ones(len(tokens), np.int32),
            question_ids=question_ids,
            visual_index=np.where(is_image, np.cumsum(is_image) - 1, -1).astype(np.int32),
        )
        return Encoded(key, text, images, targets, loss_weights, np.zeros_like(tokens))

    def _render(self, sample: Sample, num_turns: int, last_answer: bool) -> str:
        try:
            return self.tokenizer.apply_chat_template(
                sample.messages(num_turns, last_answer),
                tokenize=False,
                add_generation_prompt=not last_answer,
            )
        except jinja2.TemplateError as error:
            raise BadInput(
                f"{sample.key}: the checkpoint's chat template refuses the conversation: {error}."
            ) from error

    def _tokenize(self, texts: list[str]) -> list[np.ndarray]:
        encoded = self.tokenizer(texts, add_special_tokens=False, return_attention_mask=False)
        return [np.array(ids, np.int32) for ids in encoded["input_ids"]]

    def _refuse_special_tokens(self, sample: Sample) -> None:
        texts = [text for turn in sample.turns for text in (turn.prompt, turn.answer)]
        for text in filter(None, [sample.system, *texts]):
            if found := self._special_pattern.search(text):
                raise BadInput(
                    f"{sample.key}: a text contains {found[0]}, which the model reads as a part of"
                    " the conversation's format: take it out."
                )

    @cached_property
    def _special_tokens(self) -> dict[int, str]:
        added = self.tokenizer.added_tokens_decoder.items()
        return {number: token.content for number, token in added if token.special}

    @cached_property
    def _special_pattern(self) -> re.Pattern:
        return re.compile("|".join(map(re.escape, self._special_tokens.values())))


def _unanswerable(key: str) -> BadInput:
    return BadInput(
        f"{key}: the checkpoint's chat template does not render an answered conversation as its"
        " prompt and then the answer, so it cannot be trained on; check that no answer begins with"
        " white space, or use another template."
    )


def _load_tokenizer(folder: str | Path) -> PreTrainedTokenizerBase:
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{folder} has no readable tokenizer: fetch the whole checkpoint folder"
            f" ({str(error).splitlines()[0]})."
        ) from error
    older = Path(folder) / "chat_template.json"  # Where checkpoints of 2025 keep the template.
    if tokenizer.chat_template is None and older.is_file():
        tokenizer.chat_template = json.loads(older.read_text())["chat_template"]
    if not isinstance(tokenizer.chat_template, str):
        raise BadInput(
            f"{folder} has no chat template: put the checkpoint's chat_template.jinja there."
        )
    return tokenizer


def _no_patches(values: int) -> ImageInputs:
    return ImageInputs(
        patches=np.zeros((0, values), np.uint8),
        segment_ids=np.zeros(0, np.int32),
        positions=np.zeros((0, 2), np.int32),
        interp_indices=np.zeros((0, 4), np.int32),
        interp_weights=np.zeros((0, 4), np.float32),
    )


def _common_prefix(conversations: list[_Conversation]) -> int:
    """Number of first tokens that are equal in all and of which none predicts an answer token."""
    predicting = [int(np.argmax(c.is_answer)) - 1 for c in conversations]
    length = min(predicting)
    stacked = np.stack([conversation.tokens[:length] for conversation in conversations])
    different = np.flatnonzero((stacked != stacked[0]).any(axis=0))
    return int(different[0]) if len(different) else length

"""Any number of prompts through the compiled decoder, in batches of few shapes, in order."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import jax
import numpy as np
from jax.sharding import Mesh

from vlm3_jax.data.batch import pad_inputs
from vlm3_jax.data.encoder import Encoded
from vlm3_jax.decoding.buckets import bucket
from vlm3_jax.decoding.config import DecodingConfig
from vlm3_jax.decoding.greedy import Generated, generate
from vlm3_jax.models.functional import Params
from vlm3_jax.models.inputs import ImageInputs, TextInputs
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig
from vlm3_jax.parallel.mesh import BATCH_AXES
from vlm3_jax.parallel.sharding import batch_sharding, replicated

_SMALLEST_LENGTH = 32  # Tokens of the smallest text bucket.
_SMALLEST_VISUAL = 32  # Merged tokens of the smallest image bucket.


@dataclass(frozen=True)
class Answer:
    """What the model said to one prompt."""

    token_ids: tuple[int, ...]
    """With the stop token, where it came."""
    finished: bool
    """Whether a stop token came before the longest answer was reached."""


class Decoder:
    """Answers prompts greedily."""

    def __init__(
        self,
        params: Params,
        model: Qwen3VLConfig,
        stop_tokens: Sequence[int],
        mesh: Mesh,
        config: DecodingConfig,
    ):
        """Args: parameters that lie on `mesh`, in the type to compute in."""
        self._params = params
        self._stop_tokens = np.array(stop_tokens, np.int32)
        self._merge_area = model.vision.spatial_merge_size**2
        self._num_groups = config.images * math.prod(mesh.shape[axis] for axis in BATCH_AXES)
        self._questions = config.questions
        self._sharding = batch_sharding(mesh)
        # Every process feeds all rows and gets all answers back, so each can go on alone.
        self._generate = jax.jit(
            partial(generate, config=model, max_new_tokens=config.max_new_tokens),
            out_shardings=replicated(mesh),
        )

    def answer(self, groups: Iterable[Sequence[Encoded]]) -> Iterator[Answer]:
        """Answers the prompts of every group, in order.

        Args:
            groups: prompts about the same images each, as `Encoder.encode_prompts` makes them; a
                group with more than the configured number of questions is cut into several. They
                are drawn as they are needed, the next batch while the devices do the last.
        """
        running = None
        for batch in _batches(_cut(groups, self._questions), self._num_groups):
            generated = self._start(batch)
            if running is not None:
                yield from self._finish(*running)
            running = batch, generated
        if running is not None:
            yield from self._finish(*running)

    def _start(self, batch: list[Sequence[Encoded]]) -> Generated:
        inputs = jax.device_put(self._inputs(batch), self._sharding)
        return self._generate(self._params, self._stop_tokens, *inputs)

    def _inputs(self, batch: list[Sequence[Encoded]]) -> tuple[TextInputs, ImageInputs | None]:
        """The batch padded to its bucket; empty rows fill up its groups and the batch."""
        some = batch[0][0]
        no_text = TextInputs(*(array[:0] for array in some.text))
        no_images = ImageInputs(*(array[:0] for array in some.images))

        texts = []
        for group in batch:
            texts += [prompt.text for prompt in group]
            texts += [no_text] * (self._questions - len(group))
        texts += [no_text] * (self._num_groups * self._questions - len(texts))
        length = bucket(max(len(text.tokens) for text in texts), _SMALLEST_LENGTH)

        images = [group[0].images for group in batch]
        images += [no_images] * (self._num_groups - len(batch))
        patches = max(len(image.patches) for image in images)
        if patches == 0:
            return pad_inputs(texts, TextInputs, length), None
        patches = bucket(patches // self._merge_area, _SMALLEST_VISUAL) * self._merge_area
        return pad_inputs(texts, TextInputs, length), pad_inputs(images, ImageInputs, patches)

    def _finish(self, batch: list[Sequence[Encoded]], generated: Generated) -> Iterator[Answer]:
        tokens, counts = (np.asarray(array) for array in generated)
        for i, group in enumerate(batch):
            for row in range(i * self._questions, i * self._questions + len(group)):
                ids = tokens[row, : counts[row]]
                yield Answer(tuple(ids.tolist()), bool(np.isin(ids[-1], self._stop_tokens)))


def _cut(groups: Iterable[Sequence[Encoded]], size: int) -> Iterator[Sequence[Encoded]]:
    """Groups of at most `size` prompts."""
    for group in groups:
        for start in range(0, len(group), size):
            yield group[start : start + size]


def _batches(items: Iterable[Sequence[Encoded]], size: int) -> Iterator[list[Sequence[Encoded]]]:
    """Lists of `size` successive items; the last may be shorter."""
    items = iter(items)
    while batch := list(islice(items, size)):
        yield batch

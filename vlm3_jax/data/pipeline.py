"""The Grain loader: records drawn, asked about and encoded, in worker processes, then batched."""

from dataclasses import dataclass
from functools import partial

import grain
import numpy as np
from absl import flags

from vlm3_jax.data.batch import check_reach, check_size, pad
from vlm3_jax.data.encoder import Encoded, Encoder, QuestionMode, Size
from vlm3_jax.data.images import ImageBackend
from vlm3_jax.data.packing import PackIterDataset
from vlm3_jax.data.records import DepthRecord
from vlm3_jax.data.sampling import DepthSampling, training_sample
from vlm3_jax.data.sources import open_source
from vlm3_jax.errors import BadInput

_LIMITS = (
    "max_tokens",
    "max_patches",
    "max_supervised",
    "max_sample_tokens",
    "max_image_patches",
)


@dataclass(frozen=True)
class DataConfig:
    """What a run is trained on."""

    data_dir: str
    """Folder that datasets were built into."""
    name: str
    """The dataset, with its TFDS config if it has any: `synthetic_rooms/views`."""
    max_tokens: int
    """Tokens of a row; shorter ones are padded, a longer sample is an error that names it."""
    max_patches: int
    """Image patches of a row, likewise; a multiple of a merge block's patches."""
    max_supervised: int
    """Answer tokens of a row, likewise: the head computes logits for so many positions a row."""
    open_rows: int = 0
    """Rows that each process fills with samples at the same time; a sample goes into the first with
    room for it. More of them fill rows better and hold more images in memory. 0 gives every sample
    a row of its own. `launch/propose_budgets.py` finds the budgets that a dataset fills well."""
    max_sample_tokens: int | None = None
    """Tokens of the longest sample, where rows hold several; likewise. Attention kernels leave out
    what is further away, so the closer the faster. None: those of a row."""
    max_image_patches: int | None = None
    """Patches of the largest image; likewise."""
    split: str = "train"
    sampling: DepthSampling = DepthSampling()  # noqa: RUF009 (it is frozen)
    questions: QuestionMode = "turns"
    """`turns`: the questions on an image are one conversation, each sees the earlier ones.
    `independent`: each sees the image and itself alone, as at evaluation."""
    image_backend: ImageBackend = "exact"
    """What decodes and resizes images: `exact` is Pillow, as in evaluation; `fast` gives the same
    levels in less time, but compiles for a few seconds when it is first used on a machine."""
    num_workers: int = 0
    """Worker processes that encode samples; 0 encodes them in threads instead. What the batches
    hold does not depend on it, but a run can only resume with the same number."""

    def __post_init__(self):
        for name in ("open_rows", "num_workers", *_LIMITS):
            value, least = getattr(self, name), 1 if name in _LIMITS else 0
            if value is not None and value < least:
                raise BadInput(f"{name} is {value}, but must be at least {least}.")

    @property
    def budget(self) -> Size:
        """Of a row."""
        return Size(self.max_tokens, self.max_patches, self.max_supervised)


def train_iterator(
    config: DataConfig,
    encoder: Encoder,
    *,
    batch_size: int,
    seed: int,
    process_index: int = 0,
    process_count: int = 1,
) -> grain.DatasetIterator:
    """Endless batches of this process's rows; every epoch is shuffled anew.

    The order of the samples, the points drawn in them and the share of each process in a number of
    samples do not depend on workers. With one sample a row, the rows of the global batch and their
    order are the same for any number of processes. With several, each process packs its own share
    of the same samples, so another number of processes puts them into other rows and batches: two
    such runs see the same samples at nearly the same time, but their losses differ step by step.

    The state of the iterator is exact: saved and restored, it goes on with the next batch.

    Args:
        config: what to read.
        encoder: of the model to be trained.
        batch_size: rows of the global batch, a multiple of `process_count`.
        seed: of the order and of the points drawn.
        process_index: which of the global batch's equal runs of rows are this process's.
        process_count: how many processes share a batch.

    Returns:
        Iterator over `Batch`; close it after use.

    Raises:
        BadInput: the dataset is missing, or a setting cannot be used; while iterating, a record
            cannot be used or does not fit the budgets.
    """
    block = encoder.image_processor.merge_size**2
    if config.max_patches % block:
        raise BadInput(f"max_patches is {config.max_patches}, but must be a multiple of {block}.")
    if batch_size % process_count:
        raise BadInput(f"batch_size is {batch_size}, which {process_count} processes do not share.")
    source = open_source(config.data_dir, config.name, config.split)
    # All that is random is fixed by a sample's place in the global order, before it is divided.
    samples = grain.MapDataset.source(source).seed(seed).shuffle().repeat()
    encoder = encoder.with_backend(config.image_backend)
    samples = samples.random_map(partial(_encode, encoder=encoder, config=config))
    share = _ProcessSamples(samples, batch_size, process_index, process_count)
    # Samples and batches are large, so few are kept ready.
    ready = grain.MapDataset.source(share).to_iter_dataset(
        grain.ReadOptions(num_threads=2, prefetch_buffer_size=2)
    )
    if config.num_workers:
        if not flags.FLAGS.is_parsed():
            flags.FLAGS.mark_as_parsed()  # Grain hands absl's flags to its workers.
        ready = ready.mp_prefetch(grain.MultiprocessingOptions(num_workers=config.num_workers))
    # Packed behind the workers, rows do not depend on their number.
    rows = PackIterDataset(ready, share.__getitem__, config.budget, config.open_rows)
    fill_up = partial(pad, max_tokens=config.max_tokens, max_patches=config.max_patches)
    batches = rows.batch(batch_size // process_count, batch_fn=fill_up)
    return iter(grain.experimental.ThreadPrefetchIterDataset(batches, prefetch_buffer_size=2))


def _encode(
    record: DepthRecord, rng: np.random.Generator, *, encoder: Encoder, config: DataConfig
) -> Encoded:
    drawn = training_sample(config.sampling, record, rng, config.image_backend)
    sample = encoder.encode(drawn, config.questions)
    check_size(sample, config.budget)
    check_reach(sample, config.max_sample_tokens, config.max_image_patches)
    return sample


@dataclass(frozen=True)
class _ProcessSamples:
    """One process's share of every `batch_size` samples: neighbours, as devices hold their rows."""

    samples: grain.MapDataset
    batch_size: int
    process_index: int
    process_count: int

    def __len__(self) -> int:
        return len(self.samples) // self.process_count

    def __getitem__(self, index: int) -> Encoded:
        share = self.batch_size // self.process_count
        batch, place = divmod(index, share)
        return self.samples[batch * self.batch_size + self.process_index * share + place]

"""The Grain loader: records drawn, asked about and encoded, in worker processes, then batched."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import grain
import numpy as np
from absl import flags, logging

from vlm3_jax.data.batch import check_reach, check_size, pad
from vlm3_jax.data.chat import Sample
from vlm3_jax.data.encoder import Encoded, Encoder, QuestionMode, Size
from vlm3_jax.data.images import ImageBackend
from vlm3_jax.data.mixture import (
    Draw,
    MixtureSource,
    SourceConfig,
    active,
    check_mixture,
    draw_order,
    open_mixture,
)
from vlm3_jax.data.packing import PackIterDataset
from vlm3_jax.data.sampling import Samplings, training_sample
from vlm3_jax.errors import BadInput

# Records with nothing to ask about that a draw passes over one after the other, at most.
_MOST_PASSED_OVER = 1000
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
    sources: dict[str, SourceConfig]
    """What is drawn from; a key is a label of one's own, which logs use."""
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
    task_weights: dict[str, float] = field(default_factory=dict)
    """How often each task is asked, relative to the others; then `weight` of a source is relative
    to those of its task. If empty, sources of all tasks are relative to each other."""
    samplings: Samplings = Samplings()  # noqa: RUF009 (it is frozen)
    """How each task asks."""
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
        check_mixture(self.sources, self.task_weights)

    @property
    def active_sources(self) -> dict[str, SourceConfig]:
        """Those that are drawn from at all, in the order in which a batch numbers them."""
        return active(self.sources, self.task_weights)

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
    """Endless batches of this process's rows; every epoch of a source is shuffled anew.

    A record that its task finds nothing to ask about is passed over for the next one of its source.

    The order of the samples, what is drawn about them and the share of each process in a number of
    samples do not depend on workers. With one sample a row, the rows of the global batch and their
    order are the same for any number of processes. With several, each process packs its own share
    of the same samples, so another number of processes puts them into other rows and batches: two
    such runs see the same samples at nearly the same time, but their losses differ step by step.

    The state of the iterator is exact: saved and restored, it goes on with the next batch.

    Args:
        config: what to read.
        encoder: of the model to be trained.
        batch_size: rows of the global batch, a multiple of `process_count`.
        seed: of the order and of what is asked.
        process_index: which of the global batch's equal runs of rows are this process's.
        process_count: how many processes share a batch.

    Returns:
        Iterator over `Batch`; close it after use.

    Raises:
        BadInput: a dataset is missing, or a setting cannot be used; while iterating, a record
            cannot be used or does not fit the budgets, or a source has nothing to ask about.
    """
    block = encoder.image_processor.merge_size**2
    if config.max_patches % block:
        raise BadInput(f"max_patches is {config.max_patches}, but must be a multiple of {block}.")
    if batch_size % process_count:
        raise BadInput(f"batch_size is {batch_size}, which {process_count} processes do not share.")
    mixture = open_sources(config)
    _log_mixture(config, mixture)
    # All that is random is fixed by a sample's place in the global order, before it is divided.
    samples = drawn_samples(mixture, config, encoder, seed)
    samples = samples.map(partial(_check, config=config))
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
    counted = ready.map(_PassedOver())
    rows = PackIterDataset(
        counted, lambda index: share[index].sample, config.budget, config.open_rows
    )
    fill_up = partial(pad, max_tokens=config.max_tokens, max_patches=config.max_patches)
    batches = rows.batch(batch_size // process_count, batch_fn=fill_up)
    return iter(grain.experimental.ThreadPrefetchIterDataset(batches, prefetch_buffer_size=2))


class Drawn(NamedTuple):
    """What a draw has become."""

    sample: Encoded
    label: str
    """Of its source."""
    passed_over: tuple[str, ...]
    """Keys of records before it that have nothing to ask about."""


def open_sources(config: DataConfig) -> tuple[MixtureSource, ...]:
    """The sources that are drawn from.

    Raises:
        BadInput: one of them is missing, empty, or of records that its task does not ask about.
    """
    return open_mixture(config.data_dir, config.sources, config.task_weights, config.samplings)


def drawn_samples(
    mixture: Sequence[MixtureSource], config: DataConfig, encoder: Encoder, seed: int
) -> grain.MapDataset[Drawn]:
    """The samples of all processes in their order, without end, whatever their sizes.

    Reading one that cannot be made raises BadInput.
    """
    order = draw_order(
        {source.label: len(source) for source in mixture},
        {source.label: source.share for source in mixture},
        seed,
    )
    encoder = encoder.with_backend(config.image_backend)
    make = partial(_make, mixture=mixture, config=config, encoder=encoder)
    return order.random_map(make, seed=seed)


def _make(
    draw: Draw,
    rng: np.random.Generator,
    *,
    mixture: Sequence[MixtureSource],
    config: DataConfig,
    encoder: Encoder,
) -> Drawn:
    source = mixture[draw.source]
    sample, passed_over = _ask(source, draw.record, rng, config)
    encoded = encoder.encode(sample, config.questions)
    source_ids = np.full_like(encoded.text.tokens, draw.source)
    return Drawn(replace(encoded, source_ids=source_ids), source.label, passed_over)


def _ask(
    source: MixtureSource, first: int, rng: np.random.Generator, config: DataConfig
) -> tuple[Sample, tuple[str, ...]]:
    """A sample of the first record from `first` on that something can be asked about."""
    sampling, passed_over = config.samplings.of(source.task), []
    for number in range(min(len(source), _MOST_PASSED_OVER)):
        record = source[(first + number) % len(source)]
        sample = training_sample(sampling, record, rng, config.image_backend)
        if sample is not None:
            return sample, tuple(passed_over)
        passed_over.append(record.key)
    raise BadInput(
        f"config.data.sources.{source.label}: {len(passed_over)} records in a row, such as"
        f" {passed_over[0]}, have nothing to ask about in task {source.task!r}: leave it out, or"
        " build it anew."
    )


def _check(drawn: Drawn, config: DataConfig) -> Drawn:
    check_size(drawn.sample, config.budget)
    check_reach(drawn.sample, config.max_sample_tokens, config.max_image_patches)
    return drawn


class _PassedOver:
    """Takes the samples out, and logs how many records were passed over, more and more rarely."""

    def __init__(self):
        self._counts: Counter[str] = Counter()

    def __call__(self, drawn: Drawn) -> Encoded:
        for key in drawn.passed_over:
            self._counts[drawn.label] += 1
            count = self._counts[drawn.label]
            if count == 10 ** (len(str(count)) - 1):
                logging.warning(
                    "%s: a draw fell on %s, which has nothing to ask about, and took the next"
                    " record; %d such draws so far",
                    drawn.label,
                    key,
                    count,
                )
        return drawn.sample


def _log_mixture(config: DataConfig, mixture: Sequence[MixtureSource]) -> None:
    for source in mixture:
        logging.info(
            "source %s: %s, %s of %s, %d records, %.2f%% of the draws",
            source.label,
            source.task,
            config.sources[source.label].split,
            config.sources[source.label].name,
            len(source),
            100 * source.share,
        )
    if left_out := sorted(config.sources.keys() - config.active_sources.keys()):
        logging.info("sources left out, for their weight is 0: %s", ", ".join(left_out))


@dataclass(frozen=True)
class _ProcessSamples:
    """One process's share of every `batch_size` samples: neighbours, as devices hold their rows."""

    samples: grain.MapDataset
    batch_size: int
    process_index: int
    process_count: int

    def __len__(self) -> int:
        return len(self.samples) // self.process_count

    def __getitem__(self, index: int) -> Drawn:
        share = self.batch_size // self.process_count
        batch, place = divmod(index, share)
        return self.samples[batch * self.batch_size + self.process_index * share + place]

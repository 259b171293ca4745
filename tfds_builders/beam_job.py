"""Writes shards as a job of Apache Beam: on a cluster, or on this machine with its DirectRunner.

Shards, their bytes and the proofs that they are finished are those of `tfds_builders.pool`, so that
a build may go on with the other. What workers and this process have in common, whatever the runner,
is the folder of the proofs: progress and the word to stop go through it. An optional extra with an
environment of its own: see requirements-beam.txt.
"""

import io
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from threading import Event

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.utils.shared import Shared
from etils import epath

from tfds_builders.base import Builder
from tfds_builders.plan import Plan, Shard, make_plan
from tfds_builders.shards import Job, Watch, Written, read_proofs, write_shard
from vlm3_jax.errors import BadInput

_LOOK_SECONDS = 5
_METRICS = "tfds_builders"


def write_shards(
    builder: Builder,
    raw: Path | None,
    shards: list[Shard],
    proofs: epath.Path,
    watch: Watch,
    fingerprint: str,
    options: Sequence[str],
) -> list[Written]:
    """Writes shards into the builder's folder, which all workers must see, as they must `raw`.

    Args:
        builder: makes the records.
        raw: the raw data.
        shards: what to write.
        proofs: folder for the proofs of finished shards.
        watch: is told of the progress, in shards that are finished.
        fingerprint: of the plan that the shards are of.
        options: flags of the pipeline, such as `--runner=DirectRunner`.

    Returns:
        What became of the shards that are finished; not all of them when `watch` said stop.

    Raises:
        BadInput: the job ended before it was done.
    """
    pipeline = _pipeline(options)
    stop = proofs / "stop"
    stop.unlink(missing_ok=True)
    job = Job(builder, raw, proofs, _Tally(stop))
    names = [shard.name for shard in shards]
    with _watched(names, proofs, stop, watch), pipeline:
        (
            pipeline
            | "Shards" >> beam.Create(names)
            | "Spread" >> beam.Reshuffle()
            | "Write" >> beam.ParDo(_WriteShard(job, fingerprint))
        )
    finished = read_proofs(proofs)
    results = [finished[name] for name in names if name in finished]
    if len(results) < len(names) and not stop.exists():
        raise BadInput(
            f"the Beam job ended after {len(results)} of {len(names)} shards: look into its log,"
            " and give the same command again."
        )
    return results


def _pipeline(options: Sequence[str]) -> beam.Pipeline:
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            parsed = PipelineOptions(list(options))
            parsed.get_all_options()
        return beam.Pipeline(options=parsed)
    except SystemExit as error:
        raise BadInput(f"--beam_options: {said.getvalue().splitlines()[-1]}.") from error
    except ValueError as error:
        raise BadInput(f"--beam_options: {error}") from error


class _WriteShard(beam.DoFn):
    """Turns names of shards into shards.

    A worker plans anew what a name stands for: the items of a large dataset are more than a runner
    takes as the content of a job.
    """

    def __init__(self, job: Job, fingerprint: str):
        self._job = job
        self._fingerprint = fingerprint
        self._shared = Shared()  # One plan for all threads of a process.

    def setup(self) -> None:
        self._plan = self._shared.acquire(self._make_plan)
        self._shards = {shard.name: shard for shard in self._plan.shards}

    def process(self, name: str) -> None:
        # A runner may give the same work twice.
        if not self._job.proof(name).exists() and not self._job.tally.stopped():
            write_shard(self._job, self._shards[name])

    def _make_plan(self) -> Plan:
        builder, raw = self._job.builder, self._job.raw
        plan = make_plan(builder.items(raw), builder.RECORDS_PER_SHARD)
        if plan.fingerprint != self._fingerprint:
            raise RuntimeError(f"This worker finds other items in {raw} than the job was made of.")
        return plan


class _Tally:
    """A `shards.Tally` of workers that share nothing but the folder of a file that says stop."""

    def __init__(self, stop: epath.Path):
        self._stop = stop
        self._next_look = 0.0
        self._records = Metrics.counter(_METRICS, "records")
        self._bad = Metrics.counter(_METRICS, "bad")

    def add(self, records: int = 0, bad: int = 0) -> None:
        self._records.inc(records)
        self._bad.inc(bad)

    def stopped(self) -> bool:
        if time.monotonic() < self._next_look:
            return False
        self._next_look = time.monotonic() + _LOOK_SECONDS
        return self._stop.exists()


@contextmanager
def _watched(
    names: list[str], proofs: epath.Path, stop: epath.Path, watch: Watch
) -> Iterator[None]:
    """Tells `watch` which of the shards are finished, until the block ends."""
    ended = Event()

    def look() -> None:
        finished: dict[str, Written] = {}
        last = False
        while not last:
            last = ended.wait(_LOOK_SECONDS)
            new = {path.stem for path in proofs.glob("*.json")} & set(names) - set(finished)
            for name in new:
                finished[name] = Written.from_json((proofs / f"{name}.json").read_bytes())
            records = sum(written.records for written in finished.values())
            if not watch(records, sum(written.num_bad for written in finished.values())):
                stop.write_bytes(b"")
                return

    with ThreadPoolExecutor(1) as executor:
        looking = executor.submit(look)
        try:
            yield
        finally:
            ended.set()
        looking.result()

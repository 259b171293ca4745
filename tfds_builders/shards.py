"""Writes the shards of a plan, in this process or several."""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from concurrent.futures.thread import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from typing import Any

from etils import epath
from tensorflow_datasets.core.example_serializer import ExampleSerializer
from tensorflow_datasets.core.utils.lazy_imports_utils import array_record_module

from tfds_builders.base import Builder
from tfds_builders.items import Bad, attempt_all
from tfds_builders.plan import Shard
from vlm3_jax.errors import BadInput

# Spawned, for a process with running threads cannot be forked safely.
_CONTEXT = get_context("spawn")
_RECORDS, _BAD, _STOP = range(3)
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Written:
    """What became of a shard; kept beside the data as the proof that it is finished."""

    name: str
    records: int
    num_bytes: int
    bad: tuple[Bad, ...]
    finished: bool = True

    def to_json(self) -> bytes:
        """Encodes it."""
        return json.dumps(asdict(self), ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "Written":
        """Inverse of `to_json`."""
        values = json.loads(data)
        return cls(**values | {"bad": tuple(Bad(**bad) for bad in values["bad"])})

    @property
    def num_bad(self) -> int:
        """Records that are lost."""
        return sum(bad.records for bad in self.bad)


@dataclass(frozen=True)
class Job:
    """What a worker needs to know beside the shard.

    Attributes:
        builder: whose `data_dir` the shards go to.
        raw: the raw data.
        proofs: folder of the `Written` of finished shards.
        tally: records written, bad ones, and whether to stop; shared by all workers.
    """

    builder: Builder
    raw: Path | None
    proofs: epath.Path
    tally: Any


def read_proofs(proofs: epath.Path) -> dict[str, Written]:
    """The finished shards by name."""
    found = [Written.from_json(path.read_bytes()) for path in proofs.glob("*.json")]
    return {written.name: written for written in found}


def write_shards(
    builder: Builder,
    raw: Path | None,
    shards: list[Shard],
    proofs: epath.Path,
    workers: int,
    watch: Callable[[int, int], bool],
) -> list[Written]:
    """Writes shards into the builder's folder.

    Args:
        builder: makes the records.
        raw: the raw data.
        shards: what to write.
        proofs: folder for the proofs of finished shards.
        workers: processes; 1 writes in this one.
        watch: is told now and then how many records are written and how many were bad; answers
            whether to go on.

    Returns:
        What became of the shards, finished or not; not all of them when `watch` said stop.
    """
    tally = _CONTEXT.Array("q", 3)
    job = Job(builder, raw, proofs, tally)
    workers = min(workers, len(shards))
    with _executor(workers, job) as (executor, write):
        pending = {executor.submit(write, shard) for shard in shards}
        results: list[Future[Written]] = []
        try:
            while pending:
                done, pending = wait(pending, _POLL_SECONDS, return_when=FIRST_COMPLETED)
                results += done
                for future in done:
                    future.result()  # A defect of the program ends the build.
                if not watch(tally[_RECORDS], tally[_BAD]):
                    break
        except BrokenProcessPool as error:
            raise BadInput(
                "a worker process was killed, perhaps for want of memory: give the same command"
                " again, with fewer --workers."
            ) from error
        finally:
            tally[_STOP] = 1
            executor.shutdown(wait=True, cancel_futures=True)
        results += [future for future in pending if not future.cancelled()]
    return [future.result() for future in results]


@contextmanager
def _executor(workers: int, job: Job) -> Iterator[tuple[Executor, Callable[[Shard], Written]]]:
    if workers <= 1:
        # A thread, so that the caller can watch.
        with ThreadPoolExecutor(1) as executor:
            yield executor, partial(write_shard, job)
    else:
        with ProcessPoolExecutor(workers, _CONTEXT, _start, (job,)) as executor:
            yield executor, _write_in_worker


_worker_job: Job | None = None


def _start(job: Job) -> None:
    global _worker_job
    _worker_job = job
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent tells when to stop.
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker that outlived a killed build would write into the folder of the next one."""
    connection.wait([parent_process().sentinel])
    os._exit(1)


def _write_in_worker(shard: Shard) -> Written:
    return write_shard(_worker_job, shard)


def write_shard(job: Job, shard: Shard) -> Written:
    """Writes one shard; its file appears when it is whole, then its proof."""
    folder = epath.Path(job.builder.data_dir)
    partial_file = folder / f"{shard.name}.{os.getpid()}.partial"
    written = _write_records(job, shard, partial_file)
    if not written.finished:
        partial_file.unlink()
        return written
    partial_file.replace(folder / file_name(job.builder, shard))
    proof = job.proofs / f"{shard.name}.json"
    partial_proof = proof.with_suffix(".partial")
    partial_proof.write_bytes(written.to_json())
    partial_proof.replace(proof)
    return written


def _write_records(job: Job, shard: Shard, file: epath.Path) -> Written:
    """Writes the records of a shard until it is done, or all shall stop."""
    features = job.builder.info.features
    serializer = ExampleSerializer(features.get_serialized_info())
    records, num_bytes, bad = 0, 0, []
    writer = array_record_module.ArrayRecordWriter(os.fspath(file), "group_size:1")
    try:
        for outcome in _outcomes(job, shard):
            if job.tally[_STOP]:
                break
            if isinstance(outcome, Bad):
                bad.append(outcome)
                _count(job.tally, _BAD, outcome.records)
            else:
                data = _encode(outcome | {"split": shard.split}, features, serializer)
                writer.write(data)
                records, num_bytes = records + 1, num_bytes + len(data)
                _count(job.tally, _RECORDS, 1)
        else:
            return Written(shard.name, records, num_bytes, tuple(bad))
    finally:
        writer.close()
    return Written(shard.name, records, num_bytes, tuple(bad), finished=False)


def _encode(example: dict[str, Any], features: Any, serializer: ExampleSerializer) -> bytes:
    try:
        encoded = features.encode_example(example)
    except Exception as error:
        error.add_note(f"The record was {_id(example)!r}.")
        raise
    # Without `deterministic` the order of the fields may differ between processes.
    return serializer.get_tf_example(encoded).SerializeToString(deterministic=True)


def _id(example: dict[str, Any]) -> str:
    return "/".join(example[part] for part in ("dataset", "scene", "frame"))


def _outcomes(job: Job, shard: Shard) -> Iterator[dict[str, Any] | Bad]:
    """What the items give; of records with the same id the first one counts."""
    ids = set()
    for item in shard.items:
        for outcome in attempt_all(item, partial(job.builder.examples, job.raw)):
            if isinstance(outcome, dict):
                if (name := _id(outcome)) in ids:
                    outcome = Bad(item.key, f"{item.key}: the id {name} comes twice.")
                ids.add(name)
            yield outcome


def file_name(builder: Builder, shard: Shard) -> str:
    """TFDS's name of a shard's file."""
    number = f"{shard.index:05d}-of-{shard.count:05d}"
    return f"{builder.name}-{shard.split}.array_record-{number}"


def _count(tally: Any, place: int, number: int) -> None:
    with tally.get_lock():
        tally[place] += number

"""Writes shards on this machine, in this process or several."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from concurrent.futures.thread import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from typing import Any

from etils import epath

from tfds_builders.base import Builder
from tfds_builders.plan import Shard
from tfds_builders.shards import Job, Watch, Written, write_shard
from vlm3_jax.errors import BadInput

# Spawned, for a process with running threads cannot be forked safely.
_CONTEXT = get_context("spawn")
_RECORDS, _BAD, _STOP = range(3)
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class _Tally:
    """A `shards.Tally` in memory that the processes share."""

    counts: Any

    def add(self, records: int = 0, bad: int = 0) -> None:
        with self.counts.get_lock():
            self.counts[_RECORDS] += records
            self.counts[_BAD] += bad

    def stopped(self) -> bool:
        return bool(self.counts[_STOP])


def write_shards(
    builder: Builder,
    raw: Path | None,
    shards: list[Shard],
    proofs: epath.Path,
    watch: Watch,
    workers: int,
) -> list[Written]:
    """Writes shards into the builder's folder.

    Args:
        builder: makes the records.
        raw: the raw data.
        shards: what to write.
        proofs: folder for the proofs of finished shards.
        watch: is told of the progress.
        workers: processes; 1 writes in this one.

    Returns:
        What became of the shards, finished or not; not all of them when `watch` said stop.
    """
    tally = _Tally(_CONTEXT.Array("q", 3))
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
                if not watch(tally.counts[_RECORDS], tally.counts[_BAD]):
                    break
        except BrokenProcessPool as error:
            raise BadInput(
                "a worker process was killed, perhaps for want of memory: give the same command"
                " again, with fewer --workers."
            ) from error
        finally:
            tally.counts[_STOP] = 1
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

"""Images a second of several processes, each on a core of its own where there are enough."""

import os
from collections.abc import Sequence
from multiprocessing import get_context
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from time import perf_counter, process_time
from typing import NamedTuple

from launch.bench.images.sides import run, way

_PATIENCE = 120  # Seconds that a worker may take to start.


class Throughput(NamedTuple):
    """Of all workers together."""

    workers: int
    images_per_s: float
    """By the clock."""
    images_per_cpu_s: float
    """Of the workers' own CPU time, added up: what idle cores would give."""
    first_image_s: float
    """The most CPU time of a worker for its first image, with the loading of compiled code."""


def throughput(
    side: str, jpegs: Sequence[bytes], shown: tuple[int, int], workers: int, seconds: float
) -> Throughput:
    """Runs workers side by side for some seconds of wall-clock time."""
    context = get_context("spawn")
    barrier, results = context.Barrier(workers), context.Queue()
    cores = sorted(os.sched_getaffinity(0))
    processes = [
        context.Process(
            target=_work,
            args=(side, list(jpegs), shown, seconds, cores[i % len(cores)], barrier, results),
            daemon=True,
        )
        for i in range(workers)
    ]
    for process in processes:
        process.start()
    found = [results.get(timeout=2 * _PATIENCE + seconds) for _ in processes]
    for process in processes:
        process.join()
    rates, cpu_rates, firsts = zip(*found, strict=True)
    return Throughput(workers, sum(rates), sum(cpu_rates), max(firsts))


def _work(
    side: str,
    jpegs: list[bytes],
    shown: tuple[int, int],
    seconds: float,
    core: int,
    barrier: Barrier,
    results: Queue,
) -> None:
    os.sched_setaffinity(0, {core})
    started = process_time()
    stages = way(side, shown)
    run(stages, jpegs[0])
    first = process_time() - started
    barrier.wait(_PATIENCE)
    started, cpu_started, count = perf_counter(), process_time(), 0
    while perf_counter() - started < seconds:
        run(stages, jpegs[count % len(jpegs)])
        count += 1
    elapsed, cpu_elapsed = perf_counter() - started, process_time() - cpu_started
    results.put((count / elapsed, count / cpu_elapsed, first))

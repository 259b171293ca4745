"""`launch.bench_decode` where one side says something else at the end of one answer."""

from dataclasses import replace

from launch import bench_decode
from launch.bench_decode import cli, main

__all__ = ["cli", "main"]


def _measure(function, plan, name):
    outcome = function(plan, name)
    if name == "ours":
        return outcome
    (one,) = outcome.passes
    *said, last = one.answers[0, 1]
    answers = one.answers | {(0, 1): (*said, last + 1)}
    return replace(outcome, passes=(replace(one, answers=answers),))


bench_decode.in_own_process = _measure

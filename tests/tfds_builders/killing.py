"""Kills a build at every step of its file work and goes on with it.

python -m tests.tfds_builders.killing RAW OLD_RAW ROOT DATA_DIR
    builds RAW into a DATA_DIR (`{root}/{number}`) again and again, over what OLD_RAW gave.

Prints what was found wrong, and `N steps` at the end. A process of its own, for
one with threads cannot be forked.
"""

import builtins
import io
import os
import random
import signal
import sys
from collections.abc import Callable
from multiprocessing import resource_tracker
from pathlib import Path

from etils import epath

from tests.tfds_builders.object_store import Counting
from tfds_builders.writing import write_dataset

EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"}
VERSION = "counting/1.0.0"


def kill_at(step: int, root: str) -> None:
    """Kills this process before the `step`-th time that it touches a file below `root`."""
    left = step

    def touch(path: object) -> None:
        nonlocal left
        if str(path).startswith(root):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def opened(path: object, mode: str = "r", *args: object, **kwargs: object) -> io.IOBase:
        file = real_open(path, mode, *args, **kwargs)
        if "w" in mode:
            touch(path)  # It is there, and empty.
        return file

    real_open = builtins.open
    builtins.open = io.open = opened
    sys.addaudithook(lambda event, args: touch(args[0]) if event in EVENTS else None)


def survives(work: Callable[[], None]) -> bool:
    """Whether a child that does the work ends of itself."""
    child = os.fork()
    if not child:
        work()
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if status and os.WTERMSIG(status) != signal.SIGKILL:
        raise SystemExit(f"a build failed: {status}")
    return not status


def content(folder: epath.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def main(raw: Path, old_raw: Path, root: str, pattern: str) -> None:
    def build(number: object, of: Path = raw) -> None:
        write_dataset(Counting(data_dir=pattern.format(root=root, number=number)), of)

    def built(number: object) -> dict[str, bytes]:
        return content(epath.Path(pattern.format(root=root, number=number)) / VERSION)

    resource_tracker.ensure_running()  # Once, rather than in every child.
    # All in children: the threads of a build would be missing in forks of its process.
    assert survives(lambda: build("new")) and survives(lambda: build("old", old_raw))
    old, new = built("old"), built("new")
    assert old != new

    def check_killed(number: object) -> None:
        found = built(number)
        if "dataset_info.json" in found and found not in (old, new):
            print(f"{number}: neither the old dataset nor the new one")

    def check_resumed(number: object) -> None:
        if not survives(lambda: build(number)) or built(number) != new:
            print(f"{number}: other bytes")
        beside = (epath.Path(pattern.format(root=root, number=number)) / VERSION).parent.iterdir()
        if (names := [path.name for path in beside]) != ["1.0.0"]:
            print(f"{number}: leaves {names}")

    def killed(number: object, step: int) -> bool:
        def work() -> None:
            kill_at(step, root)
            build(number)

        return not survives(work)

    def old_is_there(number: int) -> bool:
        return survives(lambda: build(number, old_raw))

    steps = 0
    while old_is_there(steps) and killed(steps, steps):
        check_killed(steps)
        check_resumed(steps)
        steps += 1
    dice = random.Random(0)
    for chain in range(3):
        name = f"chain{chain}"
        for _ in range(5):
            killed(name, dice.randrange(steps // 2))
            check_killed(name)
        check_resumed(name)
    print(f"{steps} steps")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])

"""Runs an entry point many times while importing it once: every run is a fork of one process."""

import importlib
import json
import os
import subprocess
import sys
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent


@dataclass(frozen=True)
class Run:
    """What a command left: exit status and both outputs."""

    status: int
    out: str
    err: str


def run_all(module: str, commands: list[list[str]], argument: str = "") -> list[Run]:
    """Runs `python -m MODULE ARGUMENTS` for every list of arguments, in order.

    `argument` names the positional argument of the module's `main`, if it takes one.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.commands", module, argument],
        input=json.dumps(commands),
        cwd=REPOSITORY,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    return [Run(*json.loads(line)) for line in done.stdout.splitlines()]


def _run_and_end(module, argument: str | None) -> None:
    """Ends the process without tearing the interpreter down, which takes longer than most runs."""
    try:
        module.cli.run(module.main, argument)
    except SystemExit as error:
        status = error.code or 0
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _main() -> None:
    name, argument = sys.argv[1:]
    module = importlib.import_module(name)
    for arguments in json.loads(sys.stdin.read()):
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            child = os.fork()
            if child == 0:
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                sys.argv = [name, *arguments]
                _run_and_end(module, argument or None)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            texts = [(stream.seek(0), stream.read())[1] for stream in (out, err)]
            print(json.dumps([status, *texts]), flush=True)


if __name__ == "__main__":
    _main()

"""How every entry point starts, logs and fails."""

import re
import sys
from collections.abc import Callable
from logging import WARNING, getLogger

from absl import app, flags, logging

from vlm3_jax.errors import BadInput

_INTERNAL = re.compile(r"/(orbax|tensorflow_datasets)/")


def run(main: Callable[..., int | None], argument: str | None = None) -> None:
    """Parses the flags, runs `main` and exits with its status.

    `argument` names the one positional argument that `main` takes, if it takes any. Bad flags and
    `BadInput` end as one line on standard error and exit status 2; any other exception keeps its
    traceback, for it is a defect of the program.
    """
    logging.set_verbosity(logging.INFO)
    logging.use_absl_handler()
    # Libraries log their internal steps through the same handler: only warnings are news.
    logging.get_absl_logger().addFilter(
        lambda record: record.levelno >= WARNING or not _INTERNAL.search(record.pathname)
    )
    for name in ("apache_beam", "jax"):
        getLogger(name).setLevel(WARNING)
    app.run(
        lambda argv: _guarded(main, argv[1:]),
        flags_parser=lambda argv: _parse_flags(argv, argument),
    )


def _guarded(main: Callable[..., int | None], arguments: list[str]) -> None:
    try:
        sys.exit(main(*arguments))
    except BadInput as error:
        _fail(str(error))


def _parse_flags(argv: list[str], argument: str | None) -> list[str]:
    """Parses the flags; unknown configuration keys and more arguments than asked are errors."""
    try:
        rest = flags.FLAGS(argv)
    except KeyError as error:
        _fail(f"unknown configuration key {' '.join(str(error.args[0]).split())}")
    except (flags.Error, AttributeError, TypeError, ValueError, OSError) as error:
        # ml_collections reports an unknown key or a value of the wrong type in several ways.
        _fail(str(error).splitlines()[0])
    wanted = 1 if argument is None else 2
    if len(rest) < wanted:
        _fail(f"{argument} is missing: give it as the first argument.")
    if len(rest) > wanted:
        _fail(f"unexpected argument {rest[wanted]!r}: give every setting as --flag=value.")
    return rest


def _fail(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)

"""How every entry point starts, logs and fails."""

import sys
from collections.abc import Callable

from absl import app, flags, logging

from vlm3_jax.errors import BadInput


def run(main: Callable[[], int | None]) -> None:
    """Parses the flags, runs `main` and exits with its status.

    Bad flags and `BadInput` end as one line on standard error and exit status 2; any other
    exception keeps its traceback, for it is a defect of the program.
    """
    logging.set_verbosity(logging.INFO)
    logging.use_absl_handler()
    app.run(lambda argv: _guarded(main), flags_parser=_parse_flags)


def _guarded(main: Callable[[], int | None]) -> None:
    try:
        sys.exit(main())
    except BadInput as error:
        _fail(str(error))


def _parse_flags(argv: list[str]) -> list[str]:
    """Parses the flags; positional arguments and unknown configuration keys are errors."""
    try:
        rest = flags.FLAGS(argv)
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        # ml_collections reports an unknown key or a value of the wrong type in several ways.
        _fail(f"{error}".strip("'\"").splitlines()[0])
    if len(rest) > 1:
        _fail(f"unexpected argument {rest[1]!r}: every argument is a --flag=value.")
    return rest


def _fail(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)

"""Turns whatever is wrong with a raw file into an error that names it; readers that do."""

import json
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from vlm3_jax.errors import BadInput

_WRONG = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, TypeError, ValueError),
    *(struct.error, zipfile.BadZipFile, zlib.error),
)


@contextmanager
def well_formed(name: str) -> Iterator[None]:
    """Turns what goes wrong in reading a file, or in taking its content apart, into BadInput.

    Args:
        name: what is read, and of which file.
    """
    try:
        yield
    except BadInput:
        raise
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        raise BadInput(f"{name} cannot be read ({reason}); fetch it anew.") from error
    except _WRONG as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise BadInput(
            f"{name} is damaged or of another format ({reason}); fetch it anew."
        ) from error


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
        BadInput: it is not there or is no JSON.
    """
    with well_formed(str(path)):
        return json.loads(path.read_bytes())


def read_npz(path: Path, key: str) -> np.ndarray:
    """Reads an array of an .npz file; a pickled one is refused.

    Raises:
        BadInput: it is not there, is damaged, or has no such array.
    """
    with well_formed(str(path)), np.load(path, allow_pickle=False) as arrays:
        return arrays[key]

"""Results of tasks that answer once, as `prediction.json` and a picture."""

import io
from collections.abc import Callable, Sequence
from typing import Any

from absl import logging
from PIL import Image

from vlm3_jax.files import json_bytes, write_together
from vlm3_jax.prediction.answers import ChatAnswer
from vlm3_jax.prediction.depth_results import PREDICTION
from vlm3_jax.prediction.request import Request

PICTURE = "prediction.png"


def write(
    request: Request,
    result: dict[str, Any],
    draw: Callable[[], Image.Image] | None = None,
) -> None:
    """Writes a result, with the picture that `draw` makes, where the request asks for it."""
    if request.out is None:
        return
    files = {}
    if draw is not None:
        buffer = io.BytesIO()
        draw().save(buffer, format="PNG")
        files[PICTURE] = buffer.getvalue()
    write_together(request.out, files | {PREDICTION: json_bytes(result)})
    logging.info("wrote %s", request.out)


def count_failures(
    request: Request,
    answers: Sequence[ChatAnswer],
    read: Sequence[Any],
    questions: Sequence[str],
) -> dict[str, int]:
    """Counts the answers, and warns of those that were cut or could not be read.

    Args:
        request: what was asked.
        answers: what was said.
        read: what was read from each; None where nothing could be.
        questions: a short name for each, for the warning.
    """
    unread = [i for i, value in enumerate(read) if value is None]
    unfinished = sum(not answer.finished for answer in answers)
    if unread:
        logging.warning(
            "%d of %d answers cannot be read; the first, to %s: %r",
            len(unread),
            len(answers),
            questions[unread[0]],
            answers[unread[0]].text,
        )
    if unfinished:
        logging.warning(
            "%d of %d answers were cut at --max_new_tokens=%d",
            unfinished,
            len(answers),
            request.max_new_tokens,
        )
    return {"questions": len(answers), "parse_failures": len(unread), "unfinished": unfinished}

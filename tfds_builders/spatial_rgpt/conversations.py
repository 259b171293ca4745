"""Questions, answers and boxes of a row of SpatialRGPT's data."""

import re
from typing import Any

import numpy as np

from vlm3_jax.errors import BadInput
from vlm3_jax.tasks.objects.boxes import name_regions

_REGION = re.compile(r"([Rr]egion) \[(\d+)\]")
_MASK = re.compile(r"<mask>(?: *<depth>)?")


def turns(row: dict[str, Any], name: str) -> tuple[list[str], list[str]]:
    """Questions and answers of a row, as they are but for the picture's token.

    Raises:
        BadInput: the conversation does not go back and forth between human and gpt.
    """
    try:
        said = [(turn["from"], turn["value"]) for turn in row["conversations"]]
    except (KeyError, TypeError) as error:
        raise BadInput(f"{name} has no conversation; fetch the file anew.") from error
    speakers = [speaker for speaker, _ in said]
    texts = [text for _, text in said]
    if speakers != ["human", "gpt"] * (len(said) // 2) or not said:
        raise BadInput(f"{name}: human and gpt do not take turns in it; fetch the file anew.")
    if not all(isinstance(text, str) for text in texts):
        raise BadInput(f"{name} has a turn that is no text; fetch the file anew.")
    questions = [text.replace("<image>", "").strip() for text in texts[::2]]
    return questions, [text.strip() for text in texts[1::2]]


def boxes(row: dict[str, Any], width: int, height: int, name: str) -> np.ndarray:
    """Boxes of a row cut at the image's edges, float32 [K, 4].

    Raises:
        BadInput: one is no box, or has nothing inside the image.
    """
    try:
        found = np.array(row["bbox"], np.float64).reshape(-1, 4)
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{name}: its bbox is no list of boxes; fetch the file anew.") from error
    cut = np.clip(found, 0, [width, height, width, height])
    usable = np.isfinite(found).all(1) & (cut[:, :2] < cut[:, 2:]).all(1)
    if not usable.all():
        raise BadInput(
            f"{name} has the box {found[~usable][0].tolist()} in an image of {width}x{height}"
            " pixels; fetch both anew."
        )
    return cut.astype(np.float32)


def check_regions(texts: list[str], count: int, name: str) -> None:
    """Checks that texts refer to the first `count` boxes only."""
    for text in texts:
        try:
            name_regions(text, [""] * count)
        except BadInput as error:
            raise BadInput(f"{name}: {error}") from error


def count_through(
    questions: list[str], answers: list[str], found: np.ndarray, name: str
) -> tuple[list[str], list[str], np.ndarray]:
    """Names regions by their place among all different boxes of the row.

    Args:
        questions: each `<mask>` in them stands for a box of its own.
        answers: `Region [i]` is the box of the i-th `<mask>` of the question.
        found: boxes of all masks, [N, 4].
        name: what the row is called in an error.

    Returns:
        Questions and answers with `Region [k]` for the k-th of the boxes, and those.
    """
    masks = sum(len(_MASK.findall(question)) for question in questions)
    if masks != len(found):
        raise BadInput(
            f"{name} has {masks} times <mask>, but {len(found)} boxes; fetch the file anew."
        )
    places: dict[tuple, int] = {}
    numbers = [places.setdefault(tuple(box), len(places)) for box in found.tolist()]
    asked, answered, before = [], [], 0
    for question, answer in zip(questions, answers, strict=True):
        of_turn = numbers[before : before + len(_MASK.findall(question))]
        before += len(of_turn)
        each = iter(of_turn)
        asked.append(_MASK.sub(lambda _, each=each: f"Region [{next(each)}]", question))
        check_regions([answer], len(of_turn), name)
        answered.append(
            _REGION.sub(lambda m, of=of_turn: f"{m[1]} [{of[int(m[2])]}]", answer),
        )
    return asked, answered, np.array(list(places), np.float32).reshape(-1, 4)

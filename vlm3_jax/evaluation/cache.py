"""Answers kept as they come, so that an evaluation that was killed goes on where it stopped.

`answers.jsonl` is only ever appended to. Its first line names what decides answers, but for the
questions: the checkpoint's fingerprint, the type, how answers are written. A file of another
checkpoint or of other settings is refused. Every further line is an answer with the key of its
question: a SHA-256 of the prompt and of the images' pixels as the model is shown them, so that no
change of a dataset or of how it is asked can meet an old answer.
"""

import dataclasses
import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vlm3_jax.config import differences
from vlm3_jax.data.chat import Sample
from vlm3_jax.decoding.certainty import ValueMass
from vlm3_jax.decoding.runner import Answer
from vlm3_jax.errors import BadInput
from vlm3_jax.files import append
from vlm3_jax.parallel.distributed import from_first_process

ANSWERS = "answers.jsonl"


class AnswerCache:
    """The answers in a folder; the first process reads and writes them for all."""

    def __init__(self, folder: str | Path, identity: dict[str, Any]):
        """Reads what is there; the file is not made before the first answer comes.

        Args:
            folder: that of the results.
            identity: what decides answers, but for the questions, as plain JSON types.

        Raises:
            BadInput: the answers there are of something else.
        """
        self._path = Path(folder) / ANSWERS
        self._writes = jax.process_index() == 0
        self._answers: dict[str, Answer] = {}
        data = self._path.read_bytes() if self._writes and self._path.exists() else b""
        identity, data = _of_all(identity, data)
        self._header = {"answers_of": identity}
        # What a kill cut off has no line end.
        lines = data[: data.rfind(b"\n") + 1].splitlines()
        self._size = sum(map(len, lines)) + len(lines)
        if lines:
            self._check(lines[0], identity)
        for line in lines[1:]:
            fields = json.loads(line)
            key = fields.pop("key")
            self._answers[key] = _answer(**fields)

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, key: str) -> Answer | None:
        """The answer to a question, if it was given."""
        return self._answers.get(key)

    def put(self, key: str, answer: Answer) -> None:
        """Keeps an answer.

        Raises:
            BadInput: there is no room for it.
        """
        self._answers[key] = answer
        if not self._writes:
            return
        lines = [] if self._size else [self._header]
        lines.append({"key": key} | dataclasses.asdict(answer))
        self._size = append(self._path, lines, self._size)

    def _check(self, line: bytes, identity: dict[str, Any]) -> None:
        there = json.loads(line).get("answers_of")
        if there is None:
            raise BadInput(f"{self._path} holds no answers of an evaluation: move it elsewhere.")
        if found := differences(there, identity, "answers"):
            raise BadInput(
                f"{self._path} holds answers of another checkpoint or other settings"
                f" ({', '.join(found)}): name another --workdir, or remove it to begin anew."
            )


def question_keys(sample: Sample) -> list[str]:
    """The keys of a conversation's questions; one that comes again is another question."""
    common = hashlib.sha256()
    for image in sample.images:
        common.update(str(image.shape).encode())
        common.update(np.ascontiguousarray(image))
    keys = []
    times: Counter[str] = Counter()
    for turn in sample.turns:
        times[turn.prompt] += 1
        digest = common.copy()
        digest.update(f"{times[turn.prompt]} {turn.prompt}".encode())
        keys.append(digest.hexdigest())
    return keys


def _of_all(identity: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    """What the first process knows: files, and their times, are its own."""
    head, data = from_first_process(json.dumps(identity).encode() + b"\n" + data).split(b"\n", 1)
    return json.loads(head), data


def _answer(token_ids: list[int], values: list[dict[str, float]], **others: Any) -> Answer:
    return Answer(
        token_ids=tuple(token_ids), values=tuple(ValueMass(**value) for value in values), **others
    )

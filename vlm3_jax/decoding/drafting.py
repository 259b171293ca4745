"""Guesses of an answer's next tokens, from the form that answers have and what this one has said.

Answers of this method are templates with a few free numbers, some of which are said twice. A
template is one answer with its numbers taken out; the loop checks what is guessed from it against
what the model says, so a wrong guess costs time and never a token.
"""

import re
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

_END = -1
_FIRST_HOLE = -2  # A number's place is -2 minus the number of its field.
_MAX_FIELDS = 8
_LENGTH = 256
_NUMBER = re.compile(r"\s*[-+.\d]+")


class Template(NamedTuple):
    """The form of an answer."""

    tokens: np.ndarray
    """int32 [256]: a token's id; -2 - f where field f, a number, stands; -1 from the end on."""


class Progress(NamedTuple):
    """How far rows have followed the template; [...] are the rows."""

    place: jax.Array
    """int32 [...]: the template's next place, its end where an answer has left it."""
    begin: jax.Array
    """int32 [...]: where the number that is being said began in the answer."""
    starts: jax.Array
    """int32 [..., 8]: where each field was said first."""
    ends: jax.Array
    """int32 [..., 8]: where that ended; 0 for a field that has not been said yet."""

    @classmethod
    def zeros(cls, shape: tuple[int, ...]) -> "Progress":
        """At the beginning."""
        empty = jnp.zeros(shape, jnp.int32)
        fields = jnp.zeros((*shape, _MAX_FIELDS), jnp.int32)
        return cls(place=empty, begin=empty, starts=fields, ends=fields)


def no_template() -> Template:
    """Guesses nothing."""
    return Template(np.full(_LENGTH, _END, np.int32))


def template_of(answer: Sequence[int], text_of: Callable[[int], str]) -> Template:
    """The form of an answer: equal numbers of it are one field.

    Args:
        answer: token ids, with the stop token.
        text_of: what a token says.
    """
    fields: dict[tuple[int, ...], int] = {}
    places: list[int] = []
    for is_number, run in groupby(answer, lambda token: bool(_NUMBER.fullmatch(text_of(token)))):
        tokens = tuple(run)
        if is_number and any(map(str.isdigit, "".join(map(text_of, tokens)))):
            places.append(_FIRST_HOLE - fields.setdefault(tokens, len(fields)))
        else:
            places += tokens
    if len(fields) > _MAX_FIELDS or len(places) > _LENGTH - 2:
        return no_template()
    tokens = no_template().tokens
    tokens[: len(places)] = places
    return Template(tokens)


def propose(
    template: jax.Array, progress: Progress, answer: jax.Array, count: jax.Array, number: int
) -> tuple[jax.Array, jax.Array]:
    """Guesses the next tokens of one answer.

    Where a number is said for the first time nothing can be guessed but that it ends at once.

    Args:
        template: int32 [256], of a `Template`.
        progress: of the row.
        answer: int32 [N], what it has said.
        count: int32 [], how many tokens.
        number: how many to guess.

    Returns:
        int32 [number], -1 where there is no guess; and how many of them follow from the template
        and what was said, before the first that is a mere chance.
    """

    def guess(
        at: tuple[jax.Array, jax.Array, jax.Array], _: None
    ) -> tuple[tuple[jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array]]:
        place, inside, is_sure = at
        code = template[place]
        in_hole = code <= _FIRST_HOLE
        field = jnp.maximum(_FIRST_HOLE - code, 0)
        copied = progress.starts[field] + inside
        copies = in_hole & (copied < progress.ends[field])
        leaves = in_hole & ~copies
        token = jnp.where(copies, answer[copied], jnp.where(leaves, template[place + 1], code))
        is_new = leaves & (progress.ends[field] == 0)
        is_sure &= (token >= 0) & ~is_new
        step = jnp.where(copies | (code == _END), 0, jnp.where(leaves, 2, 1))
        place = jnp.minimum(place + step, _LENGTH - 2)
        return (place, jnp.where(copies, inside + 1, 0), is_sure), (token, is_sure)

    start = progress.place, count - progress.begin, jnp.bool(True)
    guesses, sure = jax.lax.scan(guess, start, None, number)[1]
    return guesses, jnp.sum(sure)


def follow(
    template: jax.Array, progress: Progress, said: jax.Array, count: jax.Array, number: jax.Array
) -> Progress:
    """Goes on along the template by what one answer has said.

    Args:
        template: int32 [256], of a `Template`.
        progress: of the row.
        said: int32 [W], new tokens.
        count: int32 [], tokens of the answer before them.
        number: int32 [], how many of `said` there are.
    """

    def go_on(old: Progress, at: tuple[jax.Array, jax.Array]) -> tuple[Progress, None]:
        i, token = at
        code = template[old.place]
        in_hole = code <= _FIRST_HOLE
        field = jnp.maximum(_FIRST_HOLE - code, 0)
        leaves = in_hole & (token == template[old.place + 1])
        is_first = leaves & (old.ends[field] == 0) & (jnp.arange(_MAX_FIELDS) == field)
        literal = jnp.where(token == code, old.place + 1, _LENGTH - 2)
        new = Progress(
            place=jnp.where(in_hole, old.place + jnp.where(leaves, 2, 0), literal),
            begin=jnp.where(in_hole & ~leaves, old.begin, count + i + 1),
            starts=jnp.where(is_first, old.begin, old.starts),
            ends=jnp.where(is_first, count + i, old.ends),
        )
        return jax.tree.map(lambda a, b: jnp.where(i < number, a, b), new, old), None

    return jax.lax.scan(go_on, progress, (jnp.arange(said.shape[0]), said))[0]

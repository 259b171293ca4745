"""Guesses of an answer's next tokens, from the form that answers have and what this one has said.

Answers of this method are templates with a few free numbers, some of which are said twice. A
template is one answer with its numbers taken out; the loop checks what is guessed from it against
what the model says, so a wrong guess costs time and never a token.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

_END = -1
_FIRST_HOLE = -2  # A number's place is -2 minus the number of its field.
_MAX_FIELDS = 8
_LENGTH = 256


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


def template_of(answer: Sequence[int], is_number: Callable[[int], bool]) -> Template:
    """The form of an answer: equal numbers of it are one field.

    Args:
        answer: token ids, with the stop token.
        is_number: whether a token is a part of a number.
    """
    fields: dict[tuple[int, ...], int] = {}
    places: list[int] = []
    number: list[int] = []

    def close_number() -> None:
        if number:
            places.append(_FIRST_HOLE - fields.setdefault(tuple(number), len(fields)))
            number.clear()

    for token in answer:
        if is_number(token):
            number.append(token)
        else:
            close_number()
            places.append(token)
    close_number()
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
    place, inside = progress.place, count - progress.begin
    guesses, sure, is_sure = [], jnp.int32(0), jnp.bool(True)
    for _ in range(number):
        code = template[place]
        in_hole = code <= _FIRST_HOLE
        field = jnp.maximum(_FIRST_HOLE - code, 0)
        copied = progress.starts[field] + inside
        copies = in_hole & (copied < progress.ends[field])
        leaves = in_hole & ~copies
        known = progress.ends[field] > 0
        guess = jnp.where(copies, answer[copied], jnp.where(leaves, template[place + 1], code))
        guesses.append(guess)
        is_sure &= (code != _END) & (guess >= 0) & ~(leaves & ~known)
        sure += is_sure
        inside = jnp.where(copies, inside + 1, 0)
        step = jnp.where(copies | (code == _END), 0, jnp.where(leaves, 2, 1))
        place = jnp.minimum(place + step, _LENGTH - 2)
    return jnp.stack(guesses), sure


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
    for i in range(said.shape[0]):
        token = said[i]
        code = template[progress.place]
        in_hole = code <= _FIRST_HOLE
        field = jnp.maximum(_FIRST_HOLE - code, 0)
        leaves = in_hole & (token == template[progress.place + 1])
        is_first = leaves & (progress.ends[field] == 0)
        here = jnp.arange(_MAX_FIELDS) == field
        starts = jnp.where(here & is_first, progress.begin, progress.starts)
        ends = jnp.where(here & is_first, count + i, progress.ends)
        place = jnp.where(
            in_hole,
            progress.place + jnp.where(leaves, 2, 0),
            jnp.where(token == code, progress.place + 1, _LENGTH - 2),
        )
        begin = jnp.where(in_hole & ~leaves, progress.begin, count + i + 1)
        new = Progress(jnp.minimum(place, _LENGTH - 2), begin, starts, ends)
        progress = jax.tree.map(lambda a, b, i=i: jnp.where(i < number, a, b), new, progress)
    return progress

"""Guesses, and that a model whose answers have a form profits from them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vlm3_jax.decoding.drafting import Progress, follow, no_template, propose, template_of

# A letter is a token, and its number the token's id.
STOP = ord(".")


def tokens(text: str) -> list[int]:
    return list(map(ord, text))


def template(text: str) -> jnp.ndarray:
    return jnp.asarray(template_of(tokens(text), chr).tokens)


def guesses(form: str, said: str, number: int = 6) -> tuple[str, int]:
    """What is guessed after `said`, which was said in windows of three tokens."""
    answer = np.zeros(64, np.int32)
    answer[: len(said)] = tokens(said)
    progress = Progress.zeros(())
    for start in range(0, len(said), 3):
        count = min(3, len(said) - start)
        progress = follow(
            template(form), progress, jnp.asarray(answer[start : start + 3]), start, count
        )
    found, sure = propose(
        template(form), progress, jnp.asarray(answer), jnp.int32(len(said)), number
    )
    return "".join("?" if token < 0 else chr(token) for token in found), int(sure)


def test_template_takes_numbers_out():
    found = template_of(tokens("a 1.5 b 2 c 1.5;"), chr).tokens
    assert found[:12].tolist() == [
        *tokens("a "), -2, *tokens(" b "), -3, *tokens(" c "), -2, *tokens(";")
    ]  # fmt: skip
    assert (found[12:] == -1).all()


def test_a_point_without_digits_is_no_number():
    found = template_of(tokens("so. - 7"), chr).tokens
    assert found[:7].tolist() == [*tokens("so. - "), -2]


@pytest.mark.parametrize("answer", ["x" * 300, " ".join(f"{i}" for i in range(20))])
def test_what_does_not_fit_makes_no_template(answer):
    assert (template_of(tokens(answer), chr).tokens == no_template().tokens).all()


@pytest.mark.parametrize(
    ("said", "expected", "sure"),
    [
        ("", "is  m,", 3),  # Up to the number, and then the chance that there is none.
        ("is 4", " m, []", 0),  # The number might end here.
        ("is 4.27 m", ", [4.2", 6),
        ("is 4.27 m, [4.", "27]!??", 4),
        ("is 4.27 m, [9", ".27]!?", 5),  # Goes on with what it said before.
        ("was 4", "??????", 0),  # Another form.
        ("is 4.27 m, [4.27]!", "??????", 0),
    ],
)
def test_guesses_follow_the_form_and_what_was_said(said, expected, sure):
    found, number = guesses("is 1.5 m, [1.5]!", said)
    assert (found, number) == (expected, sure)


def test_many_rows_at_once():
    form = template("is 1.5 m, [1.5]!")
    said = jnp.asarray([tokens("is "), tokens("was")], jnp.int32)
    progress = jax.vmap(lambda p, s: follow(form, p, s, jnp.int32(0), jnp.int32(3)))(
        Progress.zeros((2,)), said
    )
    assert progress.place.tolist() == [3, 254]

"""The one error a user is meant to read."""


class BadInput(ValueError):
    """Input that cannot be used; the message is one sentence that names the thing and the remedy.

    Entry points print it as a single line and exit with status 2 (see `vlm3_jax.cli`).
    """

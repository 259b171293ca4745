"""Makes the report of an evaluation again.

python -m vlm3_jax.evaluation.page --workdir=DIR
"""

from absl import flags

from vlm3_jax import cli
from vlm3_jax.evaluation.page.files import write_page

_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the results.", required=True)


def main() -> None:
    """Runs the command."""
    print(write_page(_WORKDIR.value))


if __name__ == "__main__":
    cli.run(main)

"""Builds a dataset for the loaders of vlm3_jax.

python -m tfds_builders.build NAME[/CONFIG] --data_dir=OUT [--manual_dir=RAW] [--workers=N]
    [--max_bad=0.1%] [--overwrite]

The dataset goes to OUT/NAME[/CONFIG]/VERSION. One that is already there is left alone unless
`--overwrite` asks for a new one. A build that was killed goes on when the same command is given
again. A bad record ends the build; with `--max_bad` bad records are left out and listed in
OUT/NAME[/CONFIG]/VERSION.bad.jsonl, and only more than that end it.
"""

import importlib
import os
from pathlib import Path

import tensorflow_datasets as tfds
from absl import flags

from tfds_builders.base import Builder
from tfds_builders.items import MaxBad
from tfds_builders.writing import write_dataset
from vlm3_jax import cli
from vlm3_jax.errors import BadInput

FLAGS = flags.FLAGS
flags.DEFINE_string("data_dir", None, "Folder that built datasets go to.", required=True)
flags.DEFINE_string("manual_dir", None, "Folder with the raw data of a dataset that needs them.")
flags.DEFINE_bool("overwrite", False, "Replace the dataset if it is already built.")
flags.DEFINE_integer("workers", None, "Processes that write; one a core by default.", lower_bound=1)
flags.DEFINE_string(
    "max_bad",
    None,
    "How many records may be bad, as a share (0.1%) or a number (20), and are then listed in a"
    " report; by default the first one ends the build.",
)


def build(
    name: str,
    data_dir: Path,
    manual_dir: Path | None = None,
    overwrite: bool = False,
    workers: int = 1,
    max_bad: MaxBad | None = None,
) -> tuple[Path, bool]:
    """Builds a dataset.

    Args:
        name: NAME or NAME/CONFIG.
        data_dir: where built datasets go.
        manual_dir: the raw data, where the dataset needs them.
        overwrite: replace one that is there.
        workers: processes that write.
        max_bad: how many records may be bad; with None the first one ends the build.

    Returns:
        The dataset's folder, and whether it was built now.

    Raises:
        BadInput: there is no such dataset, or its raw data are missing or wrong.
    """
    builder_class, config = _find(name)
    builder = builder_class(config=config, data_dir=data_dir.expanduser().absolute())
    final = Path(builder.data_dir)
    if final.exists() and not overwrite:
        return final, False
    if builder_class.MANUAL_DOWNLOAD_INSTRUCTIONS:
        _check_manual_dir(manual_dir, f"{name}: {builder_class.MANUAL_DOWNLOAD_INSTRUCTIONS}")
    write_dataset(builder, manual_dir, workers, max_bad)
    return final, True


def names() -> list[str]:
    """The datasets that can be built."""
    modules = Path(__file__).parent.glob("*/*_dataset_builder.py")
    return sorted(module.parent.name for module in modules)


def _find(name: str) -> tuple[type[Builder], str | None]:
    """Splits NAME/CONFIG and imports the builder."""
    dataset, _, config = name.partition("/")
    if dataset not in names():
        raise BadInput(f"there is no builder {dataset!r}; choose one of {', '.join(names())}.")
    module = importlib.import_module(f"tfds_builders.{dataset}.{dataset}_dataset_builder")
    configs = list(module.Builder.builder_configs)
    if config and config not in configs:
        known = f"choose one of {', '.join(configs)}" if configs else "it has none"
        raise BadInput(f"{dataset} has no config {config!r}; {known}.")
    return module.Builder, config or None


def _check_manual_dir(folder: Path | None, needed: str) -> None:
    if folder is None:
        raise BadInput(f"--manual_dir is missing; {needed}")
    if not folder.is_dir() or not any(folder.iterdir()):
        raise BadInput(f"--manual_dir={folder} is not a folder with files; {needed}")


def _num_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def main(name: str) -> None:
    """Builds what the command line names and prints where it is and how large."""
    folder, is_new = build(
        name,
        Path(FLAGS.data_dir),
        manual_dir=Path(FLAGS.manual_dir) if FLAGS.manual_dir else None,
        overwrite=FLAGS.overwrite,
        workers=FLAGS.workers or _num_cores(),
        max_bad=MaxBad.parse(FLAGS.max_bad) if FLAGS.max_bad else None,
    )
    splits = tfds.builder_from_directory(folder).info.splits
    counts = ", ".join(f"{split} {info.num_examples}" for split, info in splits.items())
    note = "" if is_new else " (already built; --overwrite builds it anew)"
    print(f"{folder}: {counts}{note}")


if __name__ == "__main__":
    cli.run(main, argument="NAME")

"""Builds a dataset for the loaders of vlm3_jax.

python -m tfds_builders.build NAME[/CONFIG] --data_dir=OUT [--manual_dir=RAW] [--workers=N]
    [--max_bad=0.1%] [--overwrite] [--beam_options="--runner=DirectRunner"]

The dataset goes to OUT/NAME[/CONFIG]/VERSION; OUT is a folder, or in gs://, s3:// or az://. One
that is already there is left alone unless `--overwrite` asks for a new one. A build that was killed
goes on when the same command is given again. A bad record ends the build; with `--max_bad` bad
records are left out and listed in OUT/NAME[/CONFIG]/VERSION.bad.jsonl, and only more than that end
it.
"""

import importlib
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

import tensorflow_datasets as tfds
from absl import flags
from etils import epath

from tfds_builders.base import Builder
from tfds_builders.items import MaxBad
from tfds_builders.places import data_folder, is_remote
from tfds_builders.writing import is_built, write_dataset
from vlm3_jax import cli
from vlm3_jax.errors import BadInput

FLAGS = flags.FLAGS
flags.DEFINE_string("data_dir", None, "Place that built datasets go to.", required=True)
flags.DEFINE_string("manual_dir", None, "Folder with the raw data of a dataset that needs them.")
flags.DEFINE_bool("overwrite", False, "Replace the dataset if it is already built.")
flags.DEFINE_integer("workers", None, "Processes that write; one a core by default.", lower_bound=1)
flags.DEFINE_string(
    "max_bad",
    None,
    "How many records may be bad, as a share (0.1%) or a number (20), and are then listed in a"
    " report; by default the first one ends the build.",
)
flags.DEFINE_string(
    "beam_options",
    None,
    "Flags of Apache Beam, as one text: its workers write instead of --workers of this machine.",
)


def build(
    name: str,
    data_dir: str | Path,
    manual_dir: str | Path | None = None,
    overwrite: bool = False,
    workers: int = 1,
    max_bad: MaxBad | None = None,
    beam_options: Sequence[str] | None = None,
) -> tuple[epath.Path, bool]:
    """Builds a dataset.

    Args:
        name: NAME or NAME/CONFIG.
        data_dir: where built datasets go; a folder, or in an object store.
        manual_dir: the raw data, where the dataset needs them.
        overwrite: replace one that is there.
        workers: processes that write.
        max_bad: how many records may be bad; with None the first one ends the build.
        beam_options: flags of an Apache Beam pipeline, whose workers write instead.

    Returns:
        The dataset's folder, and whether it was built now.

    Raises:
        BadInput: there is no such dataset, or its raw data are missing or wrong.
    """
    builder_class, config = _find(name)
    builder = builder_class(config=config, data_dir=data_folder(data_dir))
    final = epath.Path(builder.data_dir)
    if is_built(final) and not overwrite:
        return final, False
    needed = builder_class.MANUAL_DOWNLOAD_INSTRUCTIONS
    raw = _manual_dir(manual_dir, f"{name}: {needed}") if needed else None
    write_dataset(builder, raw, workers, max_bad, beam_options)
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


def _manual_dir(name: str | Path | None, needed: str) -> Path:
    if name is None:
        raise BadInput(f"--manual_dir is missing; {needed}")
    if is_remote(name):
        raise BadInput(f"--manual_dir={name} is no local folder; mount it, or copy it.")
    folder = Path(name).expanduser().absolute()  # A worker may have another working directory.
    if not folder.is_dir() or not any(folder.iterdir()):
        raise BadInput(f"--manual_dir={name} is not a folder with files; {needed}")
    return folder


def _beam_options() -> list[str] | None:
    if FLAGS.beam_options is None:
        return None
    if FLAGS.workers:
        raise BadInput("--workers is of no use with --beam_options, which tell Beam's: drop one.")
    return shlex.split(FLAGS.beam_options)


def _num_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def main(name: str) -> None:
    """Builds what the command line names and prints where it is and how large."""
    folder, is_new = build(
        name,
        FLAGS.data_dir,
        manual_dir=FLAGS.manual_dir,
        overwrite=FLAGS.overwrite,
        workers=FLAGS.workers or _num_cores(),
        max_bad=MaxBad.parse(FLAGS.max_bad) if FLAGS.max_bad else None,
        beam_options=_beam_options(),
    )
    splits = tfds.builder_from_directory(folder).info.splits
    counts = ", ".join(f"{split} {info.num_examples}" for split, info in splits.items())
    note = "" if is_new else " (already built; --overwrite builds it anew)"
    print(f"{folder}: {counts}{note}")


if __name__ == "__main__":
    cli.run(main, argument="NAME")

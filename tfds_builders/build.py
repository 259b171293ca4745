"""Builds a dataset for the loaders of vlm3_jax.

python -m tfds_builders.build NAME[/CONFIG] --data_dir=OUT [--manual_dir=RAW] [--overwrite]

The dataset goes to OUT/NAME[/CONFIG]/VERSION. One that is already there is left alone unless
`--overwrite` asks for a new one. On failure OUT is as it was before.
"""

import importlib
import io
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import tensorflow_datasets as tfds
from absl import flags

from tfds_builders.base import Builder
from vlm3_jax import cli
from vlm3_jax.errors import BadInput

FLAGS = flags.FLAGS
flags.DEFINE_string("data_dir", None, "Folder that built datasets go to.", required=True)
flags.DEFINE_string("manual_dir", None, "Folder with the raw data of a dataset that needs them.")
flags.DEFINE_bool("overwrite", False, "Replace the dataset if it is already built.")


def build(
    name: str, data_dir: Path, manual_dir: Path | None = None, overwrite: bool = False
) -> tuple[Path, bool]:
    """Builds a dataset.

    Args:
        name: NAME or NAME/CONFIG.
        data_dir: where built datasets go.
        manual_dir: the raw data, where the dataset needs them.
        overwrite: replace one that is there.

    Returns:
        The dataset's folder, and whether it was built now.

    Raises:
        BadInput: there is no such dataset, or its raw data are missing or wrong.
    """
    builder_class, config = _find(name)
    data_dir = data_dir.expanduser().absolute()
    final = Path(builder_class(config=config, data_dir=data_dir).data_dir)
    if final.exists() and not overwrite:
        return final, False
    if builder_class.MANUAL_DOWNLOAD_INSTRUCTIONS:
        _check_manual_dir(manual_dir, f"{name}: {builder_class.MANUAL_DOWNLOAD_INSTRUCTIONS}")
    download_config = tfds.download.DownloadConfig(manual_dir=manual_dir)
    with _workshop(data_dir) as workshop:
        builder = builder_class(config=config, data_dir=workshop)
        with redirect_stdout(io.StringIO()):  # TFDS names the temporary folder there.
            builder.download_and_prepare(
                download_dir=workshop / "downloads", download_config=download_config
            )
        final.parent.mkdir(parents=True, exist_ok=True)
        if final.exists():
            final.rename(workshop / "old")
        Path(builder.data_dir).rename(final)
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


@contextmanager
def _workshop(data_dir: Path) -> Iterator[Path]:
    """A folder inside `data_dir` to build in; on failure, what was made for it is removed."""
    missing = [path for path in (data_dir, *data_dir.parents) if not path.exists()]
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f"--data_dir={data_dir} cannot be made ({error.strerror}); choose another."
        ) from error
    try:
        with tempfile.TemporaryDirectory(prefix=".building-", dir=data_dir) as workshop:
            yield Path(workshop)
    except BaseException:
        for path in missing:
            path.rmdir()
        raise


def main(name: str) -> None:
    """Builds what the command line names and prints where it is and how large."""
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    manual_dir = Path(FLAGS.manual_dir) if FLAGS.manual_dir else None
    folder, is_new = build(name, Path(FLAGS.data_dir), manual_dir, FLAGS.overwrite)
    splits = tfds.builder_from_directory(folder).info.splits
    counts = ", ".join(f"{split} {info.num_examples}" for split, info in splits.items())
    note = "" if is_new else " (already built; --overwrite builds it anew)"
    print(f"{folder}: {counts}{note}")


if __name__ == "__main__":
    cli.run(main, argument="NAME")

"""Shows what a built dataset holds, so that a person sees whether it is right.

python -m tfds_builders.inspect NAME[/CONFIG] --data_dir=OUT --out=DIR [--split=train]
    [--samples=12] [--max_records=N] [--seed=0]

Prints statistics and what looks wrong by them, and writes DIR/inspect.html, a page of one file with
histograms and with sample pictures that have their labels drawn, and DIR/statistics.json. Files of
these names that are there are replaced.
"""

from pathlib import Path

from absl import flags

from tfds_builders.inspection import report
from tfds_builders.inspection.collect import collect
from tfds_builders.inspection.findings import findings
from vlm3_jax import cli
from vlm3_jax.data.sources import find_dataset
from vlm3_jax.files import check_folder, json_bytes, write_together

FLAGS = flags.FLAGS
flags.DEFINE_string("data_dir", None, "Folder that datasets were built into.", required=True)
flags.DEFINE_string("out", None, "Folder for the page and the statistics.", required=True)
flags.DEFINE_string("split", None, "Split, or a part of one as train[:10%]; all by default.")
flags.DEFINE_integer("samples", 12, "Records that are drawn.", lower_bound=1, upper_bound=200)
flags.DEFINE_integer(
    "max_records", None, "Read so many records, evenly spaced; all by default.", lower_bound=1
)
flags.DEFINE_integer("seed", 0, "Decides which records are drawn.", lower_bound=0)

PAGE, STATISTICS = "inspect.html", "statistics.json"


def main(name: str) -> None:
    """Inspects the dataset that the command line names."""
    out = check_folder(FLAGS.out, "--out")
    data_dir = Path(FLAGS.data_dir).expanduser()
    statistics, samples = collect(
        data_dir,
        find_dataset(data_dir, name),
        FLAGS.split,
        samples=FLAGS.samples,
        max_records=FLAGS.max_records,
        seed=FLAGS.seed,
    )
    statistics["findings"] = findings(statistics)
    statistics["samples"] = [f"{sample.split}: {sample.record.key}" for sample in samples]
    page = report.page(statistics, samples).encode()
    write_together(out, {PAGE: page, STATISTICS: json_bytes(statistics)})
    print(report.text(statistics))
    print(f"Pictures: {out / PAGE}")


if __name__ == "__main__":
    cli.run(main, argument="NAME")

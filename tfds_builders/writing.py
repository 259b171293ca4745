"""Builds a dataset's folder: plans the shards, has them written, goes on where a build broke off.

Beside the dataset's folder VERSION lie, while it is built, VERSION.building, and VERSION.bad.jsonl
where bad records are accepted. In VERSION.building, `plan.json` tells what is being built,
`finished/` which shards are, and the data grow where TFDS would put them. Whatever is killed, and
when: what `plan.json` and `finished/` say is true.
"""

import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from absl import logging
from etils import epath
from tensorflow_datasets.core.naming import ShardedFileTemplate
from tensorflow_datasets.core.splits import SplitDict, SplitInfo
from tqdm import tqdm

from tfds_builders import places, pool
from tfds_builders.base import Builder
from tfds_builders.items import Bad, MaxBad, reason
from tfds_builders.plan import Plan, Shard, make_plan
from tfds_builders.shards import Watch, Written, read_proofs
from vlm3_jax.errors import BadInput

_INFO = "dataset_info.json"
"""The file that TFDS writes last and reads first."""

WriteShards = Callable[[list[Shard], epath.Path, Watch], list[Written]]
"""Takes the shards, the folder of their proofs, and who watches."""


def is_built(folder: epath.Path) -> bool:
    """Whether a dataset's folder is there and complete."""
    return (folder / _INFO).exists()


def write_dataset(
    builder: Builder,
    raw: Path | None = None,
    workers: int = 1,
    max_bad: MaxBad | None = None,
    beam_options: Sequence[str] | None = None,
) -> None:
    """Builds the dataset into the builder's `data_dir`, whose former content it replaces.

    The bytes do not depend on who writes the shards, nor on how often the build was interrupted.
    Finished shards of an earlier build that was killed are kept, unless the items have changed.

    Args:
        builder: lists the items and makes the records.
        raw: the raw data, where the dataset needs them.
        workers: processes that write.
        max_bad: how many records may be bad; they are listed in VERSION.bad.jsonl. With None the
            first one ends the build.
        beam_options: flags of an Apache Beam pipeline, whose workers write instead.

    Raises:
        BadInput: the dataset cannot be built, or has too many bad records. Finished shards stay.
    """
    final = epath.Path(builder.data_dir)
    try:
        plan = make_plan(builder.items(raw), builder.RECORDS_PER_SHARD)
    except OSError as error:
        raise BadInput(reason(error)) from error
    shop = final.with_name(f"{final.name}.building")
    limit = 0 if max_bad is None else max_bad.of(plan.records)
    made = places.make_folder(shop)
    try:
        builder = _at(shop, builder)
        _prepare(shop, plan, builder)
        write = _writer(builder, raw, plan, workers, beam_options)
        written = _write(write, plan, shop, limit)
        bad = [*plan.bad, *(bad for shard in written for bad in shard.bad)]
        num_bad = sum(entry.records for entry in bad)
        report = final.with_name(f"{final.name}.bad.jsonl")
        if max_bad is not None or not bad:
            _write_report(report, bad)
        if num_bad > limit and max_bad is None:
            raise BadInput(bad[0].reason)
        if num_bad > limit:
            raise BadInput(
                f"{num_bad} of {plan.records} records are bad, the first because"
                f" {bad[0].reason.rstrip('.')}, but --max_bad allows {limit}: mend what {report}"
                " lists, or raise the limit, and give the same command again."
            )
        _write_metadata(builder, plan, written)
    except BadInput:
        _leave(shop, made)
        raise
    places.move(epath.Path(builder.data_dir), final, _INFO, shop)
    _clear(shop)
    if num_bad:
        logging.warning("%d of %d records are left out: see %s", num_bad, plan.records, report)


def _at(folder: epath.Path, builder: Builder) -> Builder:
    """The builder in another folder, where it knows nothing of a dataset that it is to replace."""
    config = builder.builder_config
    if config and config.name in builder.builder_configs:
        config = config.name  # TFDS takes no copy of its own configs, as unpickling would make.
    # TFDS would read what a build left that was killed at its end, perhaps half written.
    parts = epath.Path(builder.data_dir).parts[-3 if config else -2 :]
    folder.joinpath(*parts, _INFO).unlink(missing_ok=True)
    return type(builder)(config=config, data_dir=folder)


def _leave(shop: epath.Path, made: list[epath.Path]) -> None:
    """Keeps the shards that a later build can use: not those whose bad data may be mended then."""
    kept = 0
    for name, written in read_proofs(shop / "finished").items():
        if written.bad:
            (shop / "finished" / f"{name}.json").unlink()
        else:
            kept += 1
    if kept:
        return
    _clear(shop)
    for folder in made[1:]:
        if not any(folder.iterdir()):
            folder.rmdir()


def _prepare(shop: epath.Path, plan: Plan, builder: Builder) -> None:
    """Keeps finished shards of the same plan; clears away what else an earlier build left."""
    content = json.dumps({"dataset": builder.info.full_name, "plan": plan.fingerprint})
    note, data = shop / "plan.json", epath.Path(builder.data_dir)
    if not (note.exists() and note.read_text() == content and data.exists()):
        if any((shop / "finished").glob("*.json")):
            logging.warning("%s was begun with other items: its shards are made anew.", shop)
        _clear(shop)
        places.make_folder(shop / "finished")
        places.make_folder(data)
        with places.whole_file(note) as file:
            file.write_text(content)
    for leftover in data.glob("*.partial"):
        leftover.unlink()


def _clear(shop: epath.Path) -> None:
    """Removes the folder, at first what says that shards are finished, lest that outlive them."""
    (shop / "plan.json").unlink(missing_ok=True)
    shop.rmtree(missing_ok=True)


def _writer(
    builder: Builder,
    raw: Path | None,
    plan: Plan,
    workers: int,
    beam_options: Sequence[str] | None,
) -> WriteShards:
    if beam_options is None:
        return partial(pool.write_shards, builder, raw, workers=workers)
    try:
        from tfds_builders import beam_job
    except ImportError as error:
        raise BadInput(
            f"Apache Beam cannot be imported ({error}): it has an environment of its own, made from"
            " requirements-beam.txt."
        ) from error
    job = partial(beam_job.write_shards, builder, raw, options=beam_options)
    return partial(job, fingerprint=plan.fingerprint)


def _write(write: WriteShards, plan: Plan, shop: epath.Path, limit: int) -> list[Written]:
    """Has missing shards written; returns those reached, in order: all, unless too much is bad."""
    proofs = shop / "finished"
    written = read_proofs(proofs)
    missing = [shard for shard in plan.shards if shard.name not in written]
    if len(missing) < len(plan.shards):
        logging.info("%d of %d shards are finished.", len(written), len(plan.shards))
    known = sum(bad.records for bad in plan.bad) + sum(w.num_bad for w in written.values())
    expected = sum(shard.records for shard in missing)
    # On a terminal a bar; in a log a line now and then.
    seconds = 0.1 if sys.stderr.isatty() else 30
    with tqdm(total=expected, unit=" records", mininterval=seconds, maxinterval=seconds) as bar:

        def watch(records: int, bad: int) -> bool:
            bar.set_postfix(bad=known + bad, refresh=False)
            bar.update(records + bad - bar.n)
            return known + bad <= limit

        if watch(0, 0) and missing:
            results = write(missing, proofs, watch)
            written |= {result.name: result for result in results}
    return [written[shard.name] for shard in plan.shards if shard.name in written]


def _write_report(report: epath.Path, bad: list[Bad]) -> None:
    report.unlink(missing_ok=True)
    if bad:
        lines = [{"key": b.key, "reason": b.reason, "records": b.records} for b in bad]
        report.write_text("".join(json.dumps(x, ensure_ascii=False) + "\n" for x in lines))


def _write_metadata(builder: Builder, plan: Plan, written: list[Written]) -> None:
    """Writes what TFDS reads a dataset by.

    Raises:
        BadInput: a split has no record.
    """
    infos = []
    for split in plan.splits:
        names = {shard.name for shard in plan.shards if shard.split == split}
        shards = [shard for shard in written if shard.name in names]
        if not sum(shard.records for shard in shards):
            reasons = [bad.reason for shard in shards for bad in shard.bad]
            reasons += [bad.reason for bad in plan.bad] + ["its items give none"]
            raise BadInput(f"the split {split} has no usable record: {reasons[0]}")
        template = ShardedFileTemplate(
            data_dir=epath.Path(builder.data_dir),
            dataset_name=builder.name,
            split=split,
            filetype_suffix="array_record",
        )
        infos.append(
            SplitInfo(
                name=split,
                shard_lengths=[shard.records for shard in shards],
                num_bytes=sum(shard.num_bytes for shard in shards),
                filename_template=template,
            )
        )
    builder.info.set_splits(SplitDict(infos))
    builder.info.write_to_directory(builder.data_dir)

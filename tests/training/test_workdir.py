import json

from tests.training.runs import metrics, run_config
from vlm3_jax.training.workdir import Workdir


def test_resume_drops_later_metrics_and_a_cut_line(tmp_path):
    config = run_config(tmp_path, log_every=2)
    lines = [json.dumps({"step": step, "loss": 1.0}) + "\n" for step in (2, 4, 6, 8)]
    (tmp_path / "metrics.jsonl").write_text("".join(lines) + '{"step": 1')
    Workdir(tmp_path).resume(config, 6)
    assert [line["step"] for line in metrics(tmp_path)] == [2, 4, 6]
    assert json.loads((tmp_path / "config.json").read_text())["log_every"] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "metrics.jsonl"]


def test_begin_and_check(tmp_path, inputs):
    config = run_config(inputs)
    workdir = Workdir(tmp_path / "a" / "run")
    workdir.check(config)
    assert not workdir.is_started
    workdir.begin(config, inputs / "checkpoint")
    assert workdir.is_started
    assert (workdir.assets / "tokenizer.json").read_bytes() == (
        inputs / "checkpoint" / "tokenizer.json"
    ).read_bytes()
    workdir.check(config)
    assert json.loads(workdir.config.read_text())["seed"] == 0
    workdir.check(run_config(inputs, log_every=7, checkpoint__every=1, checkpoint__keep=1))
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["run"]

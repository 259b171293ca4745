"""A dataset of twelve small images, a checkpoint folder of a tiny model and runs on them."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from tests.tiny import textured_image
from tfds_builders.build import build
from vlm3_jax.config import parse
from vlm3_jax.hub.scratch import write_scratch_folder
from vlm3_jax.tasks.depth import ANSWER, PROMPT
from vlm3_jax.training.config import TrainConfig

REPOSITORY = Path(__file__).parents[2]
SIZES = ((64, 48), (96, 64), (64, 96))
TEXT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 4096,
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 10000.0,
        "mrope_section": [4, 2, 2],
        "mrope_interleaved": True,
    },
}
VISION = {
    "depth": 2,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_heads": 2,
    "patch_size": 16,
    "out_hidden_size": 32,
    "num_position_embeddings": 16,
    "deepstack_visual_indexes": [0],
}


def write_dataset(folder: Path) -> Path:
    """Builds `depthlm_jsonl` from made-up images; returns the folder of built datasets."""
    rng = np.random.default_rng(0)
    raw = folder / "raw"
    raw.mkdir()
    lines = []
    for number in range(12):
        width, height = SIZES[number % len(SIZES)]
        name = f"{number:02}.png"
        Image.fromarray(textured_image(rng, height, width)).save(raw / name)
        points = rng.integers(0, (width, height), (5, 2))
        line = {
            "image": name,
            "intrinsics": [70.0, 70.0, width / 2, height / 2, width, height],
            "pixel_coords": points.tolist(),
            "depth": rng.uniform(0.5, 5, 5).tolist(),
        }
        lines.append(json.dumps(line) + "\n")
    (raw / "made_up_train.jsonl").write_text("".join(lines))
    build("depthlm_jsonl", folder / "built", raw)
    return folder / "built"


def write_checkpoint(folder: Path) -> Path:
    """A Hugging Face folder without weights; the fixed texts of the task are one token each."""
    phrases = [part for text in (PROMPT, ANSWER) for part in re.split(r"\{.*?\}", text) if part]
    return write_scratch_folder(
        folder, TEXT, VISION, corpus=(PROMPT, ANSWER), vocab_size=300, phrases=phrases
    )


def settings(folder: Path, **changes: Any) -> dict[str, Any]:
    """A run of 20 steps; `changes` are named like `optimizer__learning_rate`."""
    values = {
        "model": {
            "checkpoint": str(folder / "checkpoint"),
            "init": "random",
            "compute_dtype": "float32",
        },
        "data": {
            "data_dir": str(folder / "built"),
            "sources": {"made_up": {"name": "depthlm_jsonl", "task": "depth"}},
            "samplings": {"depth": {"focal": 80.0, "questions_per_image": 2}},
            "max_tokens": 96,
            "max_patches": 64,
            "max_supervised": 32,
        },
        "optimizer": {"learning_rate": 1e-2, "clip_norm": 1.0},
        "total_steps": 20,
        "batch_size": 8,
        "log_every": 1,
        "checkpoint": {"every": 7},
    }
    for key, value in changes.items():
        group, _, leaf = key.rpartition("__")
        (values.setdefault(group, {}) if group else values)[leaf] = value
    return values


def run_config(folder: Path, **changes: Any) -> TrainConfig:
    return parse(TrainConfig, ConfigDict(settings(folder, **changes)))


def write_config_file(folder: Path, **changes: Any) -> Path:
    path = folder / "config.py"
    lines = ("from ml_collections import ConfigDict", "def get_config():")
    path.write_text(
        "\n".join(lines) + f"\n    return ConfigDict({settings(folder, **changes)!r})\n"
    )
    return path


def metrics(workdir: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def start(*arguments: str, devices: int = 1, **environment: str) -> subprocess.Popen:
    """Starts `python -m vlm3_jax.train` on simulated devices."""
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        **environment,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "vlm3_jax.train", *arguments],
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_processes(count: int, *arguments: str, devices: int) -> list[subprocess.Popen]:
    """Starts processes that make up one run."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    return [
        start(
            *arguments,
            devices=devices,
            JAX_COORDINATOR_ADDRESS=address,
            JAX_NUM_PROCESSES=str(count),
            JAX_PROCESS_ID=str(number),
        )
        for number in range(count)
    ]


def finish(processes: list[subprocess.Popen]) -> list[tuple[str, str]]:
    """Waits for all of them; what they wrote to standard output and error."""
    try:
        return [process.communicate(timeout=300) for process in processes]
    finally:
        for process in processes:
            process.kill()

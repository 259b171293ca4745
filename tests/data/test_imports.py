import subprocess
import sys

import pytest


def run(code: str, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_tasks_and_geometry_need_no_jax():
    run(
        "import sys; sys.modules['jax'] = None\n"
        "from vlm3_jax.tasks import correspondence, depth, objects, pose"
    )


@pytest.mark.slow
def test_encoding_needs_no_torch(tiny_hf):
    run(
        "import sys; sys.modules.update(torch=None, torchvision=None, tensorflow=None)\n"
        "import numpy as np\n"
        "from vlm3_jax.data.pipeline import Encoder, train_iterator\n"
        "from vlm3_jax.data.chat import Sample, Turn\n"
        "image = np.zeros((64, 64, 3), np.uint8)\n"
        "sample = Sample((image,), (Turn('a', 'b'),), 'k')\n"
        "encoded = Encoder.from_folder(sys.argv[1]).encode(sample)\n"
        "assert len(encoded.images.patches) == 16",
        str(tiny_hf),
    )

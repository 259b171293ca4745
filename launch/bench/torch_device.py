"""The device that torch is compared on."""

import torch

from vlm3_jax.errors import BadInput


def torch_device(platform: str) -> torch.device:
    """The torch device where jax runs on `platform`.

    Raises:
        BadInput: this torch has none.
    """
    if platform == "cpu":
        return torch.device("cpu")
    if platform != "gpu" or not torch.cuda.is_available():
        raise BadInput(
            f"jax runs on {platform} here, but this torch does not: install a torch that does, set"
            " JAX_PLATFORMS=cpu to compare on the CPU, or give --notorch."
        )
    return torch.device("cuda")


def synchronize(device: torch.device) -> None:
    """Waits until the device has done everything."""
    if device.type == "cuda":
        torch.cuda.synchronize()

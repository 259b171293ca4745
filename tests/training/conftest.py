import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

from tests.training.runs import write_checkpoint, write_dataset

# Compiling takes most of the time of these tests, running next to none.
QUICK = {
    "jax_disable_most_optimizations": True,
    "jax_persistent_cache_min_compile_time_secs": 0.0,
}


@pytest.fixture(autouse=True, scope="package")
def quick_compilation(tmp_path_factory):
    changes = {**QUICK, "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("compiled"))}
    before = {name: jax.config.values[name] for name in changes}
    configure(changes)
    yield
    configure(before)


def configure(changes):
    for name, value in changes.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


@pytest.fixture(scope="session")
def inputs(tmp_path_factory):
    """A folder with a built dataset and a checkpoint folder, as `runs.settings` wants it."""
    folder = tmp_path_factory.mktemp("training")
    write_dataset(folder)
    write_checkpoint(folder / "checkpoint")
    return folder

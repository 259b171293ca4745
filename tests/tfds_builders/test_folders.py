import importlib
from pathlib import Path

import pytest
from tensorflow_datasets.core.dataset_metadata import valid_tags

import tfds_builders
from tfds_builders.build import names

FOLDER = Path(tfds_builders.__file__).parent


@pytest.mark.parametrize("name", names())
def test_a_builder_has_tfds_layout(name, tmp_path):
    module = importlib.import_module(f"tfds_builders.{name}.{name}_dataset_builder")
    builder = module.Builder(data_dir=tmp_path)
    readme = (FOLDER / name / "README.md").read_text()
    assert builder.info.description.strip() == readme.strip()
    assert builder.info.citation.startswith("@")
    assert set(builder.get_metadata().tags) <= set(valid_tags()) and builder.get_metadata().tags
    needs_download = bool(builder.MANUAL_DOWNLOAD_INSTRUCTIONS)
    assert ("\n## Manual download\n" in readme) == needs_download

"""TFDS builders: one folder a dataset, and `python -m tfds_builders.build` to run them."""

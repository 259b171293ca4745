"""Cameras from the files that other programs write beside images."""

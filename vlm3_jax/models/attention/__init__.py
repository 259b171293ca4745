"""Attention: who sees whom, the reference, kernels by platform, and the choice among them."""

SAVED = "attention"
"""Name (`jax.ad_checkpoint.checkpoint_name`) of what a kernel keeps for its backward pass: its
output and its log-sum-exp."""

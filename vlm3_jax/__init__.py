"""vlm3_jax: training vision-language models to see in 3D, on JAX."""

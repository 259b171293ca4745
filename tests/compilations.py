"""What XLA compiles while something runs."""

from contextlib import contextmanager

import jax


@contextmanager
def compilations():
    """The names of the programs that are compiled in the block."""
    names = []

    def listen(event: str, duration: float, **details) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            names.append(str(details.get("fun_name")))

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield names
    jax.monitoring.unregister_event_duration_listener(listen)

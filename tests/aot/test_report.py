import pytest

from vlm3_jax.aot.report import _bytes_in


@pytest.mark.parametrize(
    ("message", "size"),
    [
        (
            "Ran out of memory on HBM, the total memory required for HLO temporaries (31.88G)"
            " exceeds available HBM (15.75G).",
            31.88 * 2**30,
        ),
        ("total memory required for HLO temporaries (1.50T)", 1.5 * 2**40),
        (
            "Ran out of memory in memory space hbm. Used 1.50T of 15.75G hbm. Exceeded hbm"
            " capacity by 1.48T.",
            1.5 * 2**40,
        ),
        ("Ran out of patience.", None),
    ],
)
def test_what_the_compiler_would_need(message, size):
    assert _bytes_in(f"RESOURCE_EXHAUSTED: {message}") == (size and int(size))

import pytest

from vlm3_jax.evaluation.page.grouping import binned, by_image
from vlm3_jax.evaluation.page.samples import chosen


@pytest.mark.parametrize(
    ("count", "names"),
    [
        (1, ["Best 1"]),
        (2, ["Best 1", "Worst 1"]),
        (3, ["Best 1", "Best 2", "Worst 1"]),
        (5, ["Best 1", "Best 2", "Worst 1", "Worst 2"]),
        (9, ["Best 1", "Best 2", "Worst 1", "Worst 2"]),
    ],
)
def test_no_sample_is_both_best_and_worst(count, names):
    picked = chosen([[{"place": place}] for place in range(count)], each=2)
    assert [name for name, _ in picked] == names
    places = [group[0]["place"] for _, group in picked]
    assert len(set(places)) == len(places) and places[0] == 0
    assert count == 1 or places[names.index("Worst 1")] == count - 1


def test_lines_are_grouped_in_their_order():
    lines = [{"image": "b", "n": 1}, {"image": "a", "n": 1}, {"image": "b", "n": 2}]
    assert by_image(lines) == [[lines[0], lines[2]], [lines[1]]]
    assert by_image(lines, "n") == [[lines[0]], [lines[1]], [lines[2]]]


def test_bins_are_named_by_their_edges():
    bins = binned([0.5, 1.0, 7.0, 3.0, 1.5], (1, 2, 4), " m")
    assert [(name, places.tolist()) for name, places in bins] == [
        ("under 1 m", [0]),
        ("1 to 2 m", [1, 4]),
        ("2 to 4 m", [3]),
        ("4 m and more", [2]),
    ]

import pytest

from launch.bench.decoding.questions import draw_samples
from launch.bench.decoding.ways import all_ways, compare, with_pairs
from tests.commands import run_all
from tests.decoding.reference import write_lively_hf


@pytest.mark.slow
def test_all_ways_say_the_same(tiny_hf_untied, tmp_path):
    lively = write_lively_hf(tiny_hf_untied, tmp_path / "lively")
    small = {"num_images": 2, "questions": 2, "rows": 2, "max_new_tokens": 6, "focal": 60}
    settings = [f"--{name}={value}" for name, value in small.items()]
    (run,) = run_all("launch.check_decode", [[f"--checkpoint={lively}", *settings]])
    assert run.status == 0, run.err
    first, *ways = run.out.splitlines()
    assert first.startswith("4 questions, ")
    assert len(set(ways)) == 8 and all(way.startswith("4 the same ") for way in ways)


def test_bad_rows_are_refused():
    (run,) = run_all("launch.check_decode", [["--checkpoint=any", "--rows=1,x"]])
    assert (run.status, run.err) == (
        2,
        "error: --rows=1,x are no numbers of rows: give them as 1,7.\n",
    )


def test_what_differs_is_not_counted():
    ways = all_ways([1, 7])
    assert len(set(ways)) == 16 and {way.rows for way in ways} == {1, 7}
    expected = {(0, 0): (1, 2), (0, 1): (1, 3)}
    said = {way: expected if way.refill else expected | {(0, 1): (1, 2)} for way in ways}
    assert dict(compare(expected, ways, said.get)) == {way: 1 + way.refill for way in ways}


def test_every_other_image_has_a_second_one_beside_it():
    samples = draw_samples(None, 3, 1, focal=60.0, seed=0)
    paired = with_pairs(samples)
    assert [len(sample.images) for sample in paired] == [1, 2, 1]
    assert paired[1].images[1] is samples[0].images[0]

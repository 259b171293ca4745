import pytest
from hypothesis import example, given

from tests.tasks.texts import UNREADABLE, nonsense, states
from vlm3_jax.tasks.reading import agreed, length_m, plain, tuples, without_thoughts


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("<think> a </think> b", " b"),
        ("a <think> b </think> c", "a \n c"),
        ("<think> a <think> b </think> c </think> d", " d"),
        ("<THINK>a</Think>b", "b"),
        ("<think> a", ""),
        ("a <think> b", "a "),
        ("a </think> b", " b"),
        ("<think> a </think> b </think> c", " c"),
        ("a <think> b </think> c </think> d", " d"),
        ("<think> a <answer> b </answer>", "<answer> b </answer>"),
        ("<think> a <answer> b </answer> </think> c", " c"),
        ("1<think></think>2", "1\n2"),
        ("<thinking> a", "<thinking> a"),
        ("<think", "<think"),
    ],
)
def test_thoughts_are_left_out(text, left):
    assert without_thoughts(text).removeprefix("\n") == left


def test_plain_makes_signs_and_markup_uniform():
    assert plain("**Yaw**:\u00a0\u221212.5$^{\\circ}$\n`x` 3º <answer>1 </answer>") == (
        "Yaw : -12.5 ° x 3° 1"
    )


@pytest.mark.parametrize(
    ("text", "metres"),
    [
        ("1.98 meters", 1.98),
        ("1.98m", 1.98),
        ("Translation distance: 1.98 metres.", 1.98),
        ("d=+.5 m", 0.5),
        ("5e-1 m", 0.5),
        ("48.47 Centimeters", 0.4847),
        ("3 cm", 0.03),
        ("250 mm", 0.25),
        ("250 millimetres", 0.25),
        ("10.0 inches", 0.254),
        ("10.0 in", 0.254),
        ("it is 10 in.", 0.254),
        ("2 feet", 0.6096),
        ("1 foot", 0.3048),
        ("5 ft 3 in", 1.6002),
        ("5 feet and 3 inches", 1.6002),
        ("1.98 meters (6.5 feet)", 1.98),
        ("1.98 m. So the answer is 1.98 m.", 1.98),
        ("<think> 3 m </think> 4 m", 4.0),
        ("<answer> 4 m </answer>", 4.0),
        ("**2.5 m**", 2.5),
        ("$2.5$ m", 2.5),
        ("0 m", 0.0),
        ("1.98", None),
        ("5 in total", None),
        ("5 M", None),
        ("5 m/s", None),
        ("5 m²", None),
        ("5 m^2", None),
        ("5 men", None),
        ("5. m", None),
        ("1/2 m", None),
        ("1.5.2 m", None),
        ("1,5 m", None),
        ("5\u066b3 m", None),
        ("\u0665\u066b3 m", None),
        ("٣3 m", None),
        ("5'3 m", None),
        ("\u22125 m", None),
        ("- 5 m", None),
        ("not 5 m", None),
        ("5 m - 6 m", None),
        ("5 m to 6 m", None),
        ("3 ft or 5 in", None),
    ],
)
def test_lengths(text, metres):
    assert length_m(text) == (None if metres is None else pytest.approx(metres, rel=1e-12))


@pytest.mark.parametrize("text", UNREADABLE)
def test_no_length_is_made_up(text):
    assert length_m(text) is None


_SCALES = (1.0, 0.01, 0.001, 0.3048, 0.0254)


@given(nonsense)
@example("5 ft 3 in")
def test_a_length_is_stated_by_its_text(text):
    metres = length_m(text)
    if metres is None:
        return
    assert metres >= 0
    parts = any(states(text, metres / scale) for scale in _SCALES)
    assert parts or (" ft" in text and " in" in text)


def test_values_agree_within_a_hundredth():
    assert agreed([]) is None
    assert agreed([2.0, 2.01, 1.99]) == 2.0
    assert agreed([2.0, 2.1]) is None
    for values in ([float("inf")] * 2, [2.0, float("inf")], [float("nan")]):
        assert agreed(values) is None


def test_tuples_are_of_the_asked_length():
    text = "(1, 2) ( -3.5,+4 ) (5, 6, 7) (8) (9, 10, 11, 12) (x, y) (1e400,.5)"
    assert tuples(text, 2) == [(1, 2), (-3.5, 4), (float("inf"), 0.5)]
    assert tuples(text, 3) == [(5, 6, 7)]
    assert tuples("(1,2", 2) == tuples("(1 2)", 2) == tuples("(1, 2,)", 2) == []

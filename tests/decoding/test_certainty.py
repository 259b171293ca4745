"""The tree over digits on a toy distribution, of which every number is known."""

from itertools import product

import numpy as np
import pytest

from vlm3_jax.decoding.certainty import Tree, ValueMass, first_number

TOKENS = (*"0123456789", ".", " m", " about", "-", "<end>")
DIGITS, POINT, UNIT, ABOUT, MINUS = range(10), 10, 11, 12, 13


def text_of(token: int) -> str:
    return TOKENS[token]


def following(path: tuple[int, ...]) -> np.ndarray:
    """Probabilities of what follows some tokens, which differ with every one of them."""
    rng = np.random.default_rng([len(path), *path])
    weights = rng.gamma(0.5, size=len(TOKENS))
    weights[ABOUT] *= 0.1
    weights[MINUS] *= 0.1 * (len(path) > 0)
    weights[POINT] *= 4 * (POINT not in path and len(path) > 0)
    if len(path) > 2:
        weights[:11] = 0
    return weights / weights.sum()


def grow(branches: int, likeliest: int = len(TOKENS)) -> Tree:
    tree = Tree(3, ABOUT, branches, text_of)
    paths = {(0,): ()}
    while tree.open:
        assert len(tree.open) <= branches
        rows = []
        for prefix in tree.open:
            if len(prefix.nodes) > 1:
                paths[prefix.nodes] = (*paths[prefix.nodes[:-1]], prefix.token)
            probabilities = following(paths[prefix.nodes])
            tokens = np.argsort(-probabilities)[:likeliest]
            with np.errstate(divide="ignore"):
                rows.append((tokens, np.log(probabilities[tokens])))
        padding = [rows[0]] * (branches - len(rows))  # What the device says of rows that are none.
        tree.grow(*map(np.stack, zip(*rows, *padding, strict=True)))
    return tree


def enumerated() -> dict[float, float]:
    """All numbers, in bins of two significant digits."""
    masses: dict[float, float] = {}

    def add(value: float, mass: float) -> None:
        masses[value] = masses.get(value, 0.0) + mass

    def visit(path: tuple[int, ...], mass: float) -> None:
        text = "".join(map(text_of, path))
        for token, probability in enumerate(following(path)):
            said, now = text + text_of(token), mass * probability
            if now == 0:
                continue
            if token in DIGITS or (token == POINT and "." not in text):
                digits = said.replace(".", "").lstrip("0")
                if "." in said and len(digits) >= 2:
                    add(float(said + "5"), now)
                else:
                    visit((*path, token), now)
            elif any(map(str.isdigit, text)) and token != MINUS:
                add(float(text), now)

    visit((), 1.0)
    return masses


@pytest.fixture
def everything(monkeypatch) -> dict[float, float]:
    monkeypatch.setattr("vlm3_jax.decoding.certainty._LEAST_MASS", 0.0)
    return enumerated()


def total(tree: Tree) -> float:
    return sum(one.probability for one in tree.values)


def test_a_wide_tree_finds_every_number(everything):
    tree = grow(branches=2000)
    found = {one.value: one.probability for one in tree.values}
    assert len(found) > 100 and found == pytest.approx(everything)
    assert total(tree) + tree.unexplained == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(("branches", "likeliest"), list(product([1, 3, 8], [4, 15])))
def test_what_is_not_followed_is_counted(everything, branches, likeliest):
    tree = grow(branches, likeliest)
    for one in tree.values:
        assert one.probability <= everything[one.value] + 1e-12
    assert total(tree) + tree.unexplained == pytest.approx(1, abs=1e-9)
    assert 0 < total(tree) < sum(everything.values())


def test_more_branches_leave_less_unexplained(everything):
    assert sorted((grow(n).unexplained for n in (1, 3, 8, 100)), reverse=True) == [
        grow(n).unexplained for n in (1, 3, 8, 100)
    ]


def told(*steps: dict[str, float], branches: int = 4) -> Tree:
    """A tree of one prefix a level that is told what follows, by text."""
    texts = sorted({text for step in steps for text in step})
    tree = Tree(1, 0, branches, texts.__getitem__)
    for step in steps:
        tokens = np.array([[texts.index(text) for text in step]])
        tree.grow(tokens, np.log(np.array([list(step.values())])))
    return tree


@pytest.mark.parametrize(
    ("said", "value"),
    [
        (["4", ".", "2"], 4.25),
        (["4", " m"], 4),
        (["4", ".", " It"], 4),
        (["4.", "25"], 4.255),
        ([" 4.2"], 4.25),
        (["12", "."], 12.5),
        (["123", ". "], 123),
        (["-", "4", ".2"], -4.25),
        (["0", ".", "0", "5", "1"], 0.0515),
        (["0", ".", "0", "5", "<"], 0.05),
        ([".", "5", "5"], 0.555),
        (["4", ""], 4),
    ],
)
def test_values_of_prefixes(said, value):
    tree = told(*({text: 1.0} for text in said))
    assert tree.values == (ValueMass(pytest.approx(value), 1.0),)
    assert tree.unexplained == 0 and not tree.open


@pytest.mark.parametrize(
    "said",
    [
        ["about"],
        ["4", "e"],
        ["4", ","],
        ["4", "-"],
        ["4", "٣"],
        ["٣"],
        ["-", " m"],
        [""],
        [" ", "x"],
    ],
)
def test_what_is_no_clear_number_is_unexplained(said):
    tree = told(*({text: 1.0} for text in said))
    assert tree.values == () and tree.unexplained == 1


def test_a_number_that_never_ends_is_given_up():
    tree = told(*({"0": 1.0} for _ in range(6)))
    assert not tree.open and tree.unexplained == 1


@pytest.mark.parametrize(
    ("texts", "place"),
    [
        (["It is", " ", "4", ".", "2"], 2),
        (["at", " 4", ".2"], 1),
        (["4"], 0),
        (["no", "."], None),
        (["no", ".", " 4"], 2),
        (["is", " -", "4"], 1),
        (["٣", "4"], 1),
        ([], None),
    ],
)
def test_where_the_first_number_begins(texts, place):
    assert first_number(range(len(texts)), texts.__getitem__) == place

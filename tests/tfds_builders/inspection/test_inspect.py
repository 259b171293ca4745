import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.commands import Run, run_all
from tests.page.reading import Page
from tests.tfds_builders.inspection import sets

MODULE = "tfds_builders.inspect"
_BROWSERS = ("chromium", "chromium-headless-shell", "google-chrome", "chromium-browser")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    sets.build_pairs(folder)
    return folder


@pytest.fixture(scope="module")
def runs(data_dir, tmp_path_factory) -> tuple[Path, dict[str, Run]]:
    """The same command twice, and such as fail."""
    out = tmp_path_factory.mktemp("out")
    (out / "file").write_text("")
    good = [sets.NAME, f"--data_dir={data_dir}", "--samples=3"]
    commands = {
        "first": [*good, f"--out={out / 'first'}"],
        "again": [*good, f"--out={out / 'again'}"],
        "over": [*good, "--seed=1", f"--out={out / 'again'}"],
        "name": ["nothing", f"--data_dir={data_dir}", f"--out={out / 'bad'}"],
        "split": [*good, "--split=validation", f"--out={out / 'bad'}"],
        "samples": [*good, "--samples=0", f"--out={out / 'bad'}"],
        "out": [*good, f"--out={out / 'file'}"],
        "no out": good,
        "no name": [f"--data_dir={data_dir}", f"--out={out / 'bad'}"],
        "no data": [sets.NAME, f"--data_dir={out / 'none'}", f"--out={out / 'bad'}"],
    }
    done = run_all(MODULE, list(commands.values()), "NAME")
    return out, dict(zip(commands, done, strict=True))


def test_it_writes_a_page_and_statistics(runs):
    out, done = runs
    assert done["first"].status == 0, done["first"].err
    assert done["first"].out.startswith("known: Version 1.0.0: 12 pair records of 2 scenes")
    assert done["first"].out.endswith(f"Pictures: {out / 'first' / 'inspect.html'}\n")
    folder = out / "first"
    assert sorted(path.name for path in folder.iterdir()) == ["inspect.html", "statistics.json"]
    page = Page((folder / "inspect.html").read_text())
    page.assert_self_contained()
    assert len(page.images()) == 9
    statistics = json.loads((folder / "statistics.json").read_text())
    assert statistics["findings"] == [] and len(statistics["samples"]) == 3
    for sample in statistics["samples"]:
        assert sample in page.text


def test_the_same_command_writes_the_same_and_another_seed_replaces_it(runs):
    out, done = runs
    assert done["again"].status == done["over"].status == 0
    first, last = (
        json.loads((out / name / "statistics.json").read_text()) for name in ("first", "again")
    )
    assert first["samples"] != last["samples"]
    assert first | {"samples": None} == last | {"samples": None}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("name", "nothing holds no built dataset: run `python -m tfds_builders.build nothing"),
        ("split", "no records in split 'validation': its splits are train (12)"),
        ("samples", "samples"),
        ("out", "file is a file; name a folder"),
        ("no out", "--out"),
        ("no name", "NAME is missing"),
        ("no data", "holds no built dataset"),
    ],
)
def test_bad_input_is_one_sentence(runs, name, message):
    out, done = runs
    assert done[name].status == 2 and not done[name].out
    assert done[name].err.splitlines()[-1].startswith("error: ") and message in done[name].err
    assert "Traceback" not in done[name].err and not (out / "bad").exists()


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_leaves_the_window_in_a_browser(runs, width, tmp_path):
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        pytest.skip(f"there is no browser to look at the page with: {', '.join(_BROWSERS)}")
    picture = tmp_path / "page.png"
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    page = runs[0] / "first" / "inspect.html"
    subprocess.run(
        [*command, f"--window-size={width},3000", f"--screenshot={picture}", page.as_uri()],
        check=True,
        capture_output=True,
        timeout=120,
    )
    pixels = np.asarray(Image.open(picture).convert("RGB")).astype(int)
    assert pixels.shape[1] == width
    # The page's margins are at least 16 pixels: whatever is wider would be in them.
    assert np.ptp(pixels[:, -12:], axis=(0, 1)).max() == 0
    assert np.ptp(pixels[:, :12], axis=(0, 1)).max() == 0
    assert np.ptp(pixels[:, 20:-20], axis=(0, 1)).min() > 100

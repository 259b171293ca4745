"""The report in headless Chromium."""

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.page.made_up import evaluation
from tests.page import chromium
from vlm3_jax.evaluation.page.assemble import page


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    made = evaluation()
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(page(made.results, made.lines, made.record_of))
    return file


@pytest.mark.parametrize("width", [1280, 390])
def test_shows_itself_and_the_console_is_silent(path, width):
    shot = path.with_name(f"{width}.png")
    done = chromium.run(path, width, 3000, f"--screenshot={shot}")
    assert chromium.console(done) == []
    pixels = np.asarray(Image.open(shot).convert("RGB"))
    assert pixels.shape == (3000, width, 3)
    # All of it is filled: each stretch of the page has many colours, for text is smoothed.
    for stretch in np.split(pixels, 6):
        assert len(np.unique(stretch.reshape(-1, 3), axis=0)) > 30


@pytest.mark.parametrize("width", [1280, 390])
def test_never_scrolls_sideways(path, width):
    assert chromium.scroll_width(path, width) == width


def test_the_console_would_tell_what_goes_wrong(path):
    broken = path.with_name("broken.html")
    broken.write_text(path.read_text().replace("</body>", "<script>f()</script></body>"))
    done = chromium.run(broken, 1280, 1000, "--dump-dom")
    assert len(chromium.console(done)) == 1


def test_a_page_that_is_too_wide_would_be_found(path):
    wide = path.with_name("wide.html")
    wide.write_text(path.read_text().replace("</body>", "<p style='width: 700px'>x</p></body>"))
    assert chromium.scroll_width(wide, 390) > 390

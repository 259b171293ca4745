import numpy as np
import pytest
from PIL import Image

from tests.page.reading import Page
from vlm3_jax.page import document as doc
from vlm3_jax.page.charts import histogram, shares

HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(1)> & '{{ 7 * 7 }}"


def everything(text: str) -> str:
    """A page that has the text at every place that takes one."""
    image = Image.fromarray(np.full((30, 40, 3), 90, np.uint8))
    parts = [
        text,
        doc.table([text, text], [[text, 1]], text),
        doc.facts({text: text}),
        doc.notes([text]),
        doc.charts([histogram([1, 2, 4], [3, 1], text, text, text), shares({text: 3}, text)]),
        doc.cards([doc.card(text, [doc.side_by_side([doc.picture(image, text, text)])])]),
        doc.colour_bar([(0, 0, 0), (255, 9, 0)], [text, text], text),
    ]
    return doc.document(text, [doc.Section(text, parts)], text)


def test_text_from_data_stays_text():
    page = Page(everything(HOSTILE))
    page.assert_self_contained()
    assert page.text.count(HOSTILE) >= 20
    assert len(page.all("img")) == 1 and page.all("img")[0]["alt"] == HOSTILE
    # As many elements as with a harmless text.
    assert len(page.elements) == len(Page(everything("harmless")).elements)


def test_pictures_are_in_the_page():
    pixels = np.zeros((30, 40, 3), np.uint8)
    pixels[:, 20:] = 200, 100, 50
    figure = Page(doc.picture(Image.fromarray(pixels), "two halves", "a caption"))
    (image,) = figure.images()
    np.testing.assert_allclose(np.asarray(image)[15, [5, 35]], pixels[15, [5, 35]], atol=4)
    assert figure.text == "a caption"


def test_a_page_has_one_heading_and_sections_in_order():
    sections = [doc.Section("First", ["a & b"]), doc.Section("Second", [doc.notes(["c"], "good")])]
    page = Page(doc.document("The title", sections, "The lead."))
    assert len(page.all("h1")) == 1 and len(page.all("h2")) == 2
    assert page.text == "The title The title The lead. First a & b Second c"
    assert page.all("html") == [{"lang": "en"}]


def test_parts_of_a_template_cannot_be_misspelt():
    with pytest.raises(AttributeError):
        doc.part("tabel")

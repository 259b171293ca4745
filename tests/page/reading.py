"""Reads pages back as a browser would."""

import base64
import io
from html.parser import HTMLParser

from PIL import Image

# Elements that HTML never closes.
_VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """What is in a page: its elements, its text, and where it would reach for more.

    Raises AssertionError while reading where elements are not closed in order.
    """

    def __init__(self, html: str):
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        """All of its text, spaces made one."""
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str) -> list[dict]:
        """Attributes of the elements of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]

    def images(self) -> list[Image.Image]:
        """Its pictures, decoded; each must lie in the page and have the size that is told."""
        images = []
        for attributes in self.all("img"):
            kind, _, data = attributes["src"].partition(";base64,")
            assert kind == "data:image/jpeg" and attributes["alt"]
            image = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
            image.load()
            assert image.size == (int(attributes["width"]), int(attributes["height"]))
            images.append(image)
        return images

    def assert_self_contained(self) -> None:
        """Nothing is loaded from elsewhere, and nothing runs."""
        assert not {"script", "link", "iframe", "object", "base"} & {
            tag for tag, _ in self.elements
        }
        for _, attributes in self.elements:
            assert not [name for name in attributes if name.startswith("on")]
            for name in ("src", "href", "srcset", "xlink:href"):
                assert attributes.get(name, "data:").startswith(("data:", "#"))

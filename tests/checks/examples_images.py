"""A bad and a good example for each check of images."""

from newsletter.checks import ImageFacts, Subject

from .subjects import Example, written


def shown(attributes: str, facts: ImageFacts | None = None, text: str = "![A crane](images/a.png)") -> Subject:
    """Return an issue with an image, and the mail in which it stands with these attributes."""
    facts = facts or ImageFacts("image/png", 5_000, 600, 400, "cid:a@b")
    html = f'<html><body><img src="cid:a@b" alt="A crane" {attributes}></body></html>'
    return written(text, html=html, message=b"x", images={"images/a.png": facts})


EXAMPLES = {
    "images.alt-missing": Example("![](images/a.png)", "![A crane over the harbour](images/a.png)"),
    "images.alt-default": Example("![IMG_2041](images/a.png)", "![Image makers at work](images/a.png)"),
    "images.alt-repeated": Example(
        "![A crane](images/a.png)\n\n![A crane](images/b.png)", "![A crane](images/a.png)\n\n![A ship](images/b.png)"
    ),
    "images.width": Example(lambda: shown('width="100%"'), lambda: shown('width="300"')),
    "images.dimensions": Example(lambda: shown('width="900"'), lambda: shown('width="300"')),
    "images.weight": Example(
        lambda: shown('width="300"', ImageFacts("image/png", 900_000, 600, 400, "cid:a@b")),
        lambda: shown('width="300"', ImageFacts("image/png", 90_000, 600, 400, "cid:a@b")),
    ),
    "images.type": Example("![A chart](https://example.com/a.svg)", "![A chart](https://example.com/a.png?v=a.svg)"),
    "images.remote": Example("![A chart](https://example.com/a.png)", "![A chart](https://img.news.example.org/a.png)"),
}

"""Check the pictures of an issue: what they say to those who do not see them, and whether mail programs show them well.

Pure: what their files are was read before.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from newsletter.checks.finding import Check, Found, Need, Severity, quoted
from newsletter.checks.subject import Picture, Subject
from newsletter.checks.words import ALT_DEFAULTS

_DEFAULT = re.compile(ALT_DEFAULTS, re.IGNORECASE)
_FILE_NAME = re.compile(r"\S+\.(?:png|jpe?g|gif|webp|svg|avif|bmp|tiff?|heic)", re.IGNORECASE)
_CAMERA = re.compile(
    r"(?:IMG|DSC|DSCN|PXL|MVIMG|WP|GOPR|Screenshot|Screen Shot|Bildschirmfoto|Capture d[’']écran|微信图片)[\s_-]*\d.*",
    re.IGNORECASE,
)
_BY_MACHINE = re.compile(r"[\d_-]")
"""What file names have in them and descriptions of one word have not."""
_POOR_ENDINGS = {
    "svg": "SVG",
    "webp": "WebP",
    "avif": "AVIF",
    "heic": "HEIC",
    "bmp": "BMP",
    "tif": "TIFF",
    "tiff": "TIFF",
    "ico": "ICO",
}
"""Kinds of images that some mail programs do not show: Gmail no SVG, Outlook no WebP and no AVIF."""


def _alt_missing(subject: Subject) -> Iterator[Found]:
    for picture in subject.pictures:
        if not picture.alt.strip():
            yield Found(f"the image {_name(picture)} has no description", picture.place)


def _alt_default(subject: Subject) -> Iterator[Found]:
    for picture in subject.pictures:
        alt = picture.alt.strip()
        stem = _file_of(picture.src).rpartition(".")[0]
        patterns = (_DEFAULT, _FILE_NAME, _CAMERA)
        if alt and (any(pattern.fullmatch(alt) for pattern in patterns) or (alt == stem and _BY_MACHINE.search(stem))):
            yield Found(f"the image {_name(picture)} is described as {quoted(alt)}", picture.place)


def _alt_repeated(subject: Subject) -> Iterator[Found]:
    first: dict[str, Picture] = {}
    for picture in subject.pictures:
        alt = " ".join(picture.alt.split()).casefold()
        if not alt or _DEFAULT.fullmatch(alt):
            continue
        known = first.setdefault(alt, picture)
        if known.src != picture.src:
            message = f"{quoted(picture.alt)} describes the image in line {known.place.line} as well"
            yield Found(message, picture.place)
        elif alt == picture.headline.casefold():
            yield Found(f"{quoted(picture.alt)} repeats the headline", picture.place, "say what the picture shows")


def _name(picture: Picture) -> str:
    src = picture.src if len(picture.src) <= 60 else f"{picture.src[:30]}…{picture.src[-28:]}"
    return repr(src)


def _file_of(src: str) -> str:
    try:
        return unquote(urlsplit(src).path).rpartition("/")[2]
    except ValueError:
        return ""


# ---------------------------------------------------------------------------------------------------------------------
# How they are shown
# ---------------------------------------------------------------------------------------------------------------------


def _shown(subject: Subject) -> Iterator[tuple[str, str]]:
    """Yield address and ``width`` of each image in the mail, ``""`` without one."""
    for image in subject.tree.iter("img"):
        yield image.get("src", ""), image.get("width", "").strip()


def _width(subject: Subject) -> Iterator[Found]:
    seen: set[str] = set()
    for url, width in _shown(subject):
        if (width.isdecimal() and int(width)) or url in seen:
            continue
        seen.add(url)
        picture = subject.picture_of(url)
        said = f"width={width!r}" if width else "no width"
        place = picture.place if picture else subject.place_in_templates("<img") or subject.place_of_target(url)
        yield Found(f"the image {_name(picture) if picture else repr(url[:60])} has {said} in the mail", place)


def _dimensions(subject: Subject) -> Iterator[Found]:
    widest: dict[str, int] = {}
    for url, width in _shown(subject):
        widest[url] = max(widest.get(url, 0), int(width) if width.isdecimal() else 0)
    most = subject.limits["image_scale_max"]
    for src, facts in subject.images.items():
        shown, picture = widest.get(facts.url, 0), subject.picture_of(facts.url)
        place = picture.place if picture else None
        if 0 < facts.width < shown:
            fix = f"give it {2 * shown} pixels, or a smaller width"
            yield Found(f"the image {src!r} has {facts.width} pixels and is shown {shown} wide: blurred", place, fix)
        elif shown and facts.width > most * shown and facts.size > 100_000:
            fix = f"{2 * shown} pixels are sharp on every screen"
            yield Found(f"the image {src!r} has {facts.width} pixels and is shown {shown} wide", place, fix)


def _weight(subject: Subject) -> Iterator[Found]:
    most = subject.limits["image_kb_max"] * 1000
    for src, facts in subject.images.items():
        if facts.size > most:
            picture = subject.picture_of(facts.url)
            message = f"the image {src!r} has {facts.size / 1000:,.0f} kB; {most / 1000:,.0f} kB may be"
            yield Found(message, picture.place if picture else None)


def _type(subject: Subject) -> Iterator[Found]:
    for picture in subject.pictures:
        facts = subject.images.get(picture.src)
        ending = _file_of(picture.src).rpartition(".")[2].lower()
        kind = _POOR_ENDINGS.get(facts.media_type.partition("/")[2] if facts else ending, "")
        if kind:
            yield Found(f"the image {_name(picture)} is {kind}, which some mail programs do not show", picture.place)


def _remote(subject: Subject) -> Iterator[Found]:
    own = _host_of(subject.config.newsletter.url)
    hosts: defaultdict[str, list[Picture]] = defaultdict(list)
    for picture in subject.pictures:
        host = _host_of(picture.src)
        if host and host != own and not (own and host.endswith(f".{own}")):
            hosts[host].append(picture)
    for host, pictures in hosts.items():
        what = f"the image {_name(pictures[0])} comes" if len(pictures) == 1 else f"{len(pictures)} images come"
        yield Found(f"{what} from {host}", pictures[0].place, count=len(pictures))


def _host_of(url: str) -> str:
    try:
        parts = urlsplit(url)
        return (parts.hostname or "").lower() if parts.scheme in ("http", "https") else ""
    except ValueError:
        return ""


_SHOWN = frozenset({Need.ISSUE, Need.MAIL})
CHECKS = (
    Check(
        id="images.alt-missing",
        severity=Severity.WARNING,
        why="Half of all mail programs hide images at first, and blind readers never see them (WCAG 2.2, 1.1.1).",
        fix="say what it shows: ![description](address)",
        run=_alt_missing,
    ),
    Check(
        id="images.alt-default",
        severity=Severity.WARNING,
        why="A file name, or the word 'image', is no description.",
        fix="say what it shows, as you would on the phone",
        run=_alt_default,
    ),
    Check(
        id="images.alt-repeated",
        severity=Severity.WARNING,
        why="One description fits one image; where it repeats the headline, screen readers read the line twice.",
        fix="describe each image for itself",
        run=_alt_repeated,
    ),
    Check(
        id="images.width",
        severity=Severity.WARNING,
        why="Outlook takes the width from the attribute alone, and shows an image without it as large as its file is.",
        fix='write width="…" in pixels, without a unit',
        run=_width,
        needs=_SHOWN,
    ),
    Check(
        id="images.dimensions",
        severity=Severity.WARNING,
        why="An image that is smaller than it is shown is blurred; one that is far larger is paid for in waiting.",
        fix="save it at twice the width at which it is shown",
        run=_dimensions,
        limits={"image_scale_max": 4},
        needs=_SHOWN,
    ),
    Check(
        id="images.weight",
        severity=Severity.WARNING,
        why="Readers on the way wait for every image, and pay for it.",
        fix="save it smaller, as JPEG where it is a photograph",
        run=_weight,
        limits={"image_kb_max": 500},
    ),
    Check(
        id="images.type",
        severity=Severity.WARNING,
        why="Gmail shows no SVG, Outlook on Windows no WebP and no AVIF; PNG, JPEG and GIF show everywhere.",
        fix="save it as PNG or JPEG",
        run=_type,
    ),
    Check(
        id="images.remote",
        severity=Severity.WARNING,
        why="Images on other people's servers can vanish or change behind your back, and tell them who reads you.",
        fix="put the file beside the issue",
        run=_remote,
    ),
)

"""Freeze an edition, and write and read it as JSON; nothing here renders, sends or stores one.

The canonical form of an edition, over which its digest is computed, is JSON with sorted keys, no white space between
tokens, all non-ASCII characters escaped, neighbouring static strings of a part joined and empty ones left out, and
resources in base64. ``format`` is part of it, so a change of the form changes digests only together with its number.
"""

import base64
import binascii
import dataclasses
import datetime as dt
import hashlib
import json
from typing import Any

from newsletter.errors import InputError
from newsletter.model import FORMAT, Edition, Part, Resource, Slot

_PARTS = ("subject", "html", "text")


def edition_digest(edition: Edition) -> str:
    """Return the SHA-256, in lower-case hexadecimal, of everything in ``edition`` but its ``digest``."""
    content = _content_of(edition)
    del content["digest"]
    for name in _PARTS:
        content[name] = _joined(content[name])
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def freeze(edition: Edition) -> Edition:
    """Return ``edition`` with its digest set."""
    return dataclasses.replace(edition, digest=edition_digest(edition))


def edition_to_json(edition: Edition) -> str:
    """Return ``edition`` as indented JSON with ``"format": 1`` and a final newline, for ``edition_from_json`` to read.

    A part is a list of static strings and of slots, ``{"field": …, "default": …}``.
    """
    return json.dumps(_content_of(edition), indent=1, ensure_ascii=True) + "\n"


def edition_from_json(text: str) -> Edition:
    """Return the edition that ``edition_to_json`` wrote.

    Raises InputError for anything else, and for an edition whose digest is set and is not the digest of the rest.
    """
    try:
        content = json.loads(text)
        if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
            raise InputError(f"not an edition of format {FORMAT}; build it again with this version")
        edition = _edition_of(content)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(f"not an edition as 'newsletter build' writes it: {error}; build it again") from None
    if edition.digest and edition.digest != edition_digest(edition):
        raise InputError(
            f"the edition of {edition.issue!r} is not what was frozen: its content does not have the digest "
            f"{edition.digest[:12]}…; build it again"
        )
    return edition


def _content_of(edition: Edition) -> dict[str, Any]:
    """Return the edition as JSON values, in the order of the fields of ``Edition``."""
    content = {"format": FORMAT} | {field.name: getattr(edition, field.name) for field in dataclasses.fields(edition)}
    for name in _PARTS:
        content[name] = [
            {"field": piece.field, "default": piece.default} if isinstance(piece, Slot) else piece
            for piece in content[name]
        ]
    content["date"] = edition.date.isoformat()
    content["resources"] = [
        {
            "cid": resource.cid,
            "filename": resource.filename,
            "media_type": resource.media_type,
            "content": base64.b64encode(resource.content).decode("ascii"),
        }
        for resource in edition.resources
    ]
    return content


def _joined(pieces: list[Any]) -> list[Any]:
    """Join neighbouring strings of a part as JSON values, and leave empty ones out."""
    joined: list[Any] = []
    for piece in pieces:
        if isinstance(piece, str) and joined and isinstance(joined[-1], str):
            joined[-1] += piece
        elif piece != "":
            joined.append(piece)
    return joined


def _edition_of(content: dict[str, Any]) -> Edition:
    """Return the edition that the JSON values describe; raise ValueError, TypeError or KeyError where they do not."""
    parts: dict[str, Any] = {name: _part_of(content.pop(name)) for name in _PARTS}
    resources = tuple(_resource_of(value) for value in content.pop("resources"))
    date = dt.date.fromisoformat(content.pop("date"))
    if type(content.get("revision")) is not int:
        raise TypeError("'revision' must be a whole number")
    for name, value in content.items():
        if name != "revision" and not isinstance(value, str):
            raise TypeError(f"{name!r} must be a text")
    return Edition(**parts, resources=resources, date=date, **content)


def _part_of(value: object) -> Part:
    if not isinstance(value, list):
        raise TypeError("a part must be a list of texts and slots")
    return tuple(
        piece if isinstance(piece, str) else Slot(_text(piece["field"]), _text(piece["default"])) for piece in value
    )


def _resource_of(value: dict[str, Any]) -> Resource:
    try:
        content = base64.b64decode(value["content"], validate=True)
    except binascii.Error as error:
        raise ValueError(f"a resource is not base64: {error}") from None
    return Resource(_text(value["cid"]), _text(value["filename"]), _text(value["media_type"]), content)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} must be a text")
    return value

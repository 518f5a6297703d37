"""Make the table of what mail clients understand, from the npm package ``caniemail``.

    npm pack caniemail
    python docs/caniemail.py caniemail-2.0.2.tgz

writes ``newsletter/checks/caniemail.json``: for each feature its title and one letter a client, as the newest version
tested of that client has it: ``y`` understood, ``a`` in part, ``n`` not, ``u`` unknown. The licence that the package
comes with is written beside it. Only what checks need is kept: no notes, no older versions, and no clients that fewer
than half of the features were tested with.
"""

import argparse
import json
import re
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

_TABLE, _LICENCE = "package/data/caniemail.json", "package/LICENSE"
_PACKAGE = "package/package.json"
_MONTH = re.compile(r"\d{4}-\d{2}")
_TESTED_MIN = 0.5
_CATEGORIES = ("css", "html", "image")
_PLATFORMS = {
    "desktop-webmail": "{} (webmail)",
    "mobile-webmail": "{} (mobile webmail)",
    "ios": "{} on iOS",
    "android": "{} on Android",
    "windows": "{} on Windows",
    "macos": "{} on macOS",
    "windows-mail": "Windows Mail",
    "outlook-com": "Outlook.com",
}


def newest(versions: dict[str, str]) -> str:
    """Return the letter of the newest version; versions stand in order, but for months, which sort by themselves."""
    names = sorted(versions) if all(_MONTH.fullmatch(name) for name in versions) else list(versions)
    return versions[names[-1]].split()[0] if names else "u"


def letters_of(feature: dict[str, Any]) -> dict[str, str]:
    """Return the letter of each client, as ``family.platform``."""
    return {
        f"{family}.{platform}": newest(versions)
        for family, platforms in feature["stats"].items()
        for platform, versions in platforms.items()
    }


def name_of(client: str, families: dict[str, str]) -> str:
    """Return a client's name as people say it."""
    family, _, platform = client.partition(".")
    return _PLATFORMS[platform].format(families[family].removeprefix("Mozilla "))


def make_table(source: dict[str, Any], version: str) -> str:
    """Return the table as JSON, a line a feature, so that a change of the data can be read as one."""
    features = {row["slug"]: row for row in source["data"] if row["category"] in _CATEGORIES}
    letters = {slug: letters_of(row) for slug, row in sorted(features.items())}
    tested = Counter(client for row in letters.values() for client, letter in row.items() if letter != "u")
    clients = sorted(client for client, count in tested.items() if count >= _TESTED_MIN * len(letters))
    rows = {
        slug: [features[slug]["title"], "".join(row.get(client, "u") for client in clients)]
        for slug, row in letters.items()
    }
    head = {
        "source": f"caniemail.com, by the npm package caniemail {version} (MIT, see caniemail.LICENSE)",
        "date": source["last_update_date"][:10],
        "names": {client: name_of(client, source["nicenames"]["family"]) for client in clients},
    }
    lines = ",\n".join(f"  {json.dumps(slug)}: {json.dumps(row, ensure_ascii=False)}" for slug, row in rows.items())
    return json.dumps(head, indent=1, ensure_ascii=False)[:-2] + ',\n "features": {\n' + lines + "\n }\n}\n"


def main() -> None:
    """Read the package's tarball, and write the table and its licence."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path, help="the tarball that 'npm pack caniemail' leaves")
    package = parser.parse_args().package
    with tarfile.open(package) as archive:
        content = {name: archive.extractfile(name) for name in (_TABLE, _LICENCE, _PACKAGE)}
        texts = {name: file.read().decode() for name, file in content.items() if file}
    folder = Path(__file__).resolve().parents[1] / "newsletter" / "checks"
    table = make_table(json.loads(texts[_TABLE]), json.loads(texts[_PACKAGE])["version"])
    (folder / "caniemail.json").write_text(table, "utf-8")
    (folder / "caniemail.LICENSE").write_text(texts[_LICENCE], "utf-8")
    print(f"{folder / 'caniemail.json'}: {len(table):,} octets")


if __name__ == "__main__":
    main()

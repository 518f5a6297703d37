"""Write the manual of all checks, ``docs/checks.md``, from the checks themselves; pure."""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from newsletter.checks.clientsupport import table_date, typical_weights
from newsletter.checks.finding import Check, Need

_PREFACE = """\
# Checks

`newsletter check SLUG` looks at an issue and at the mail that it becomes, and says what should not go out as it is:
each finding with its place in the issue file or the template, and with what to do. `newsletter check FILE.md` takes a
file, `newsletter check MESSAGE.eml` the bytes of any message. An *error* blocks `newsletter approve`, and with it the
send; a *warning* does not. The exit code is 1 where there is an error, else 0.

- `--online` asks the links as well: a few at a time, one of each site, and answers are kept for a day.
- `--spam` asks SpamAssassin even where its daemon does not run, which takes seconds. Daemons, rspamd's and
  SpamAssassin's, are asked wherever they answer; where nothing is installed, nothing is said.
- `--since COMMIT` shows only what the issue file of that commit did not have yet.
- `--format text`, `json` (or `--json`), `sarif` (SARIF 2.1.0) and `github` (annotations in GitHub Actions).
- `--list` prints every check, as `newsletter.toml` has it.

In `newsletter.toml`, checks can be turned off, made more or less severe, and measured by other limits:

```toml
[checks]
off = ["links.tracking"]
severity = {"links.generic-text" = "error"}
limits = {subject_max = 70}
names = ["WeChat", "L’Oréal"]
```

An issue that cannot be read or compiled has one finding for each mistake, `issue.broken`, and no other.

A finding can be waived in the issue, with the reason, which whoever approves it is shown. In braces it holds for that
article or section, in the front matter for the whole issue:

```markdown
### [The partner's offer](https://example.com/?utm_source=us "Partner") {waive=links.tracking reason="they count us"}
```

```yaml
waive:
  links.tracking: the partner counts readers
```

This page is made from the checks: `python docs/checks.py` writes it.
"""
_CODE = re.compile(r"!?\[[^\]]*\]\([^)]*\)|\w*<[^<>]+>|\{\{.*?\}\}|\{[^{}]*\}|\w+=\"[^\"]*\"|\| default\([^)]*\)")
_GROUPS = {
    "size": "How large the mail is, and what of it costs most.",
    "links": "Where links lead, and what they say.",
    "images": "What pictures say to those who do not see them, and whether mail programs show them well.",
    "text": "What stands there that nobody meant to print.",
    "editorial": "What makes an issue one: its lead, its sources, its memory.",
    "clients": f"""\
What mail clients make of the HTML and the style sheets, by caniemail.com's tests of {table_date()}. A feature is told
where those who cannot see it are as large a share of the readers as the check's limit says, in percent.
`[checks] clients` says how much each client matters to this list, in numbers of any sum: a family, as in `gmail = 60`,
or one of its platforms, as in `"outlook.windows" = 5`. Without it, an estimate for a mixed list counts:
{typical_weights()}.""",
    "accessibility": "Whether everybody can read it.",
    "message": "What the bytes of a message must be.",
    "spam": "What a spam filter says.",
    "waivers": "Whether waivers mean anything.",
}


def write_manual(checks: Sequence[Check]) -> str:
    """Return the manual as Markdown."""
    pieces = [_PREFACE]
    for group, members in groupby(checks, key=lambda check: check.group):
        pieces.append(f"\n## {group}\n\n{_GROUPS[group]}\n")
        pieces.extend(_entry(check) for check in members)
    return "".join(pieces)


def _entry(check: Check) -> str:
    facts = [f"*{check.severity}*", *_facts(check)]
    return f"\n### `{check.id}`\n\n{'; '.join(facts)}. {_marked(check.why)} Fix: {_marked(_sentence(check.fix))}\n"


def _facts(check: Check) -> Iterator[str]:
    if Need.ONLINE in check.needs:
        yield "with `--online`"
    if Need.SPAM in check.needs:
        yield "where a filter is installed"
    if Need.ISSUE not in check.needs:
        yield "messages too"
    yield from (f"limit `{name}` = {number:g}" for name, number in check.limits.items())


def _marked(words: str) -> str:
    """Return words with what would be Markdown or HTML in them as code."""
    return _CODE.sub(lambda found: f"`{found[0]}`", words)


def _sentence(words: str) -> str:
    return words if words.endswith((".", "?", "!")) else f"{words}."

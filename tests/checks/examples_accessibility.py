"""A bad and a good example for each check of whether everybody can read the mail."""

from .mails import page, shown_as
from .subjects import Example

_DARK = (
    '<title>T</title><meta name="color-scheme" content="light dark"><style>'
    "@media (prefers-color-scheme: dark) {{ body {{ background: #111214 !important }} {rule} }}</style>"
)
_BODY = '<div style="background-color:#ffffff"><p class="tx" style="color:#1f2328">The text</p></div>'

EXAMPLES = {
    "accessibility.unreadable": Example(
        page(_BODY.replace("<div", '<div class="pp"'), head=_DARK.format(rule=".pp { background: #222 !important }")),
        page(
            _BODY.replace("<div", '<div class="pp"'),
            head=_DARK.format(rule=".pp { background: #222 !important } .tx { color: #eee !important }"),
        ),
    ),
    "accessibility.contrast-light": Example(
        page('<p style="color:#949494">Small and grey</p>'),
        page('<p style="color:#767676">Small and grey</p><h1 style="color:#949494;font-size:24px">Large</h1>'),
    ),
    "accessibility.contrast-dark": Example(
        page('<p class="mu" style="color:#5f6672">By Ann</p>', head=_DARK.format(rule=".ac { color: red }")),
        page(
            '<p class="mu" style="color:#5f6672">By Ann</p>',
            head=_DARK.format(rule=".mu { color: #a8adb5 !important }"),
        ),
    ),
    "accessibility.text-size": Example(
        page('<p style="font-size:10px">The small print</p>'),
        page('<p style="font-size:0"> <span style="font-size:12px">Words</span><sup style="font-size:8px">1</sup></p>'),
    ),
    "accessibility.heading-order": Example(
        shown_as("## Lead\n\n#### Deep\n\nText", "<h1>Weekly</h1><h2>Lead</h2><h4>Deep</h4>"),
        page("<h1>Weekly</h1><h2>Lead</h2><h3>Deep</h3><h2>More</h2>"),
    ),
    "accessibility.table-roles": Example(
        page(
            '<table role="presentation"><tr><td><table><tr><td>Left</td><td>Right</td></tr></table></td></tr></table>'
        ),
        page('<table role="none"><tr><td><table><tr><th>Year</th></tr><tr><td>1</td></tr></table></td></tr></table>'),
    ),
    "accessibility.language": Example(
        page('<div lang="en">Words</div>', html=""), page('<div lang="en">Words</div>', html='lang="en"')
    ),
    "accessibility.direction": Example(
        page("<p>כותרת</p>", html='lang="he"'), page("<p>כותרת</p>", html='lang="he" dir="rtl"')
    ),
    "accessibility.title": Example(page("<p>x</p>", head="<title> </title>"), page("<p>x</p>")),
    "accessibility.zoom": Example(
        page("<p>x</p>", head='<meta name="viewport" content="width=device-width, user-scalable=no">'),
        page("<p>x</p>", head='<meta name="viewport" content="width=device-width, initial-scale=1">'),
    ),
    "accessibility.link-names": Example(
        page('<a href="https://example.org/"><img src="logo.png" alt=""></a>'),
        page('<a href="https://example.org/"><img src="logo.png" alt="Weekly"></a>'),
    ),
    "accessibility.link-purpose": Example(
        page("".join(f'<a href="https://example.org/{n}">Meetup</a> ' for n in range(3))),
        page("".join(f'<a href="https://example.org/{n % 2}">Meetup</a> ' for n in range(4))),
    ),
    "accessibility.image-alt": Example(page('<img src="dot.png">'), page('<img src="dot.png" alt="">')),
}

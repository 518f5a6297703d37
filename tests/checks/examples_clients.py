"""A bad and a good example for each check of what mail clients understand."""

from .mails import page
from .subjects import Example, with_checks

_TOLD = with_checks(severity={"clients.refinement": "warning"})

EXAMPLES = {
    "clients.content": Example(
        page('<p>Watch:</p><video src="https://example.com/a.mp4"></video>'),
        page('<p><a href="https://example.com/a">Watch</a></p>'),
    ),
    "clients.layout": Example(
        page('<div style="display:flex"><p>Left</p><p>Right</p></div>'),
        page(
            '<div class="two" style="display:block"><p>Left</p><p>Right</p></div>',
            head="<title>T</title><style>@media (min-width:600px) { .two { display: flex } }</style>",
        ),
    ),
    "clients.refinement": Example(
        page('<p style="text-wrap:balance">A headline</p>', config=_TOLD),
        page('<p style="text-align:left">A headline</p>', config=_TOLD),
    ),
}

"""A bad and a good example for each check of the text."""

from .subjects import CLOSING, Example


def headed(subject: str = "Shops read faces", preheader: str = "", body: str = "Hello.", lang: str = "en"):
    lines = [f'subject: "{subject}"', *([f'preheader: "{preheader}"'] if preheader else []), f"lang: {lang}"]
    return "---\n" + "\n".join(lines) + f"\n{CLOSING}{body}\n"


LEDE = "The second line says what the first one has no room for"
ENGLISH = "The rules for the shops of the country are that it is not to be done with the faces of those who pass. " * 4
FRENCH = "Les règles pour les magasins du pays sont que ce n’est pas à faire avec les visages de ceux qui passent. " * 4

EXAMPLES = {
    "text.subject-length": Example(headed("On the rules of shops " * 5, LEDE), headed("Shops read faces", LEDE)),
    "text.subject-characters": Example(headed("RE: your order", LEDE), headed("👩‍👧 Refunds: who gets one?", LEDE)),
    "text.preheader-missing": Example(headed(), headed(preheader=LEDE)),
    "text.preheader-length": Example(headed(preheader="Too short"), headed(preheader=LEDE)),
    "text.preheader-repeats": Example(
        headed("Shops read faces in China", "Shops read faces in China, and more"), headed("Shops read faces", LEDE)
    ),
    "text.placeholder": Example("The draft costs TK euros a year.", "Tk and Tcl, `TODO:` lists, and Todoist."),
    "text.scaffold": Example(
        headed(preheader="The line that mail clients show after the subject."), headed(preheader=LEDE)
    ),
    "text.unresolved-field": Example("Dear *|FNAME|*, hello.", "Write `*|FNAME|*` in Mailchimp, and 100% of people."),
    "text.field-default": Example("Dear {{ name }}, hello.", 'Dear {{ name | default("reader") }}, hello.'),
    "text.unknown-tag": Example("A Vec<T> of them.", "A `Vec<T>` of <b>them</b>."),
    "text.braces": Example("## Digital {tpics=a}\n\n- [A](https://example.com/a)", "A set {a, b} and {colour=red}."),
    "text.broken-link": Example(
        "[A story](https://example.com/a “Source”)", '[A story](https://example.com/a "Source")'
    ),
    "text.long-word": Example(
        f"See {'antidisestablishment' * 3}.",
        "See https://example.com/antidisestablishmentarianism, and 超" + "长" * 60,
    ),
    "text.capitals": Example("THIS OFFER ENDS TONIGHT AT NOON, so hurry.", "GDP, CPI, PPI: what the IMF says."),
    "text.emoji": Example(
        "## In brief\n\n- [🎉🔥🚀 A story](https://example.com/a)",
        "## In brief\n\n- [🇫🇷 A 👩‍👧 story](https://example.com/a)",
    ),
    "text.punctuation-width": Example(
        headed("中国市场", LEDE, "中国的商店,不问就读脸.", "zh-Hans"),
        headed("中国市场", LEDE, "中国的商店，不问就读脸。iPhone 16, Rust 1.80。价格为 3,000 元。", "zh-Hans"),
    ),
    "text.language": Example(headed(preheader=LEDE, body=FRENCH), headed(preheader=LEDE, body=ENGLISH)),
    "text.stale-year": Example(
        headed("The week of 25 November 2025", LEDE),
        headed("The week of 25 November 2026", LEDE, "As in November 2025."),
    ),
    "text.wrong-weekday": Example(
        "Join us on Thursday, 25 November 2026.",
        "Join us on Wednesday, 25 November 2026, or on Monday 15 March 2021.",
    ),
    "text.name-spelling": Example(
        "## News\n\n### [How Alibaba shrinks](https://example.com/a)\nThe group Alibbaba asked TikTok.\n",
        "## News\n\n### [How Alibaba shrinks](https://example.com/a)\nThe group Alibaba’s rivals, Chinese or not.\n",
    ),
}

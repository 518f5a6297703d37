"""Check what stands in an issue: its subject and preheader, what was forgotten in it, how it is written.

Pure. Spelling of names and dates has files of its own (``names``, ``dates``).
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import cache

from newsletter.checks.dates import DATE_CHECKS
from newsletter.checks.finding import Check, Found, Severity, quoted
from newsletter.checks.names import NAME_CHECKS
from newsletter.checks.subject import Prose, Subject, width
from newsletter.checks.words import FOREIGN_FIELDS, FUNCTION_WORDS, PLACEHOLDER_HINTS, PLACEHOLDERS, SCAFFOLD
from newsletter.issue import BRACES, BROKEN_LINK, UNKNOWN_TAG
from newsletter.model import MARKER, part_of

_ODD_CHARACTERS = re.compile("[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufffc\ufffd]")
"""Characters that show nothing, turn the order of a line, or stand for one that was lost."""
_JOINED = re.compile(
    "(?<=[\U0001f000-\U0001faff\u2600-\u27bf\ufe0f])\u200d|\u200d(?=[\u2640\u2642\U0001f000-\U0001faff])"
)
_JOINERS, _JOINING_SCRIPTS = (
    re.compile("[\u200c-\u200f\u061c]"),
    re.compile("[\u0590-\u0dff\u1000-\u109f\u1780-\u17ff]"),
)
"""Joiners and marks of direction, and the scripts that are written with them."""
_REPLY = re.compile(r"(?:re|fwd?|aw|wg|tr|sv)\s*[:：]|(?:回复|转发|答复)\s*[:：]", re.IGNORECASE)
_SHOUTING = re.compile(r"[!！?？]{2,}|[$€£]{2,}")
_EMOJI = re.compile(
    "[\U0001f1e6-\U0001f1ff]{2}|[\U0001f300-\U0001faff\u231a\u231b\u23e9-\u23f3\u25fd\u25fe\u2614\u2615\u2648-\u2653"
    "\u267f\u2693\u26a1\u26aa\u26ab\u26bd\u26be\u26c4\u26c5\u26ce\u26d4\u26ea\u26f2\u26f3\u26f5\u26fa\u26fd\u2705\u270a"
    "\u270b\u2728\u274c\u274e\u2753-\u2755\u2757\u2795-\u2797\u27b0\u27bf\u2b1b\u2b1c\u2b50\u2b55]"
    "|[\u2600-\u27bf]\ufe0f"
)
"""Match one emoji: a flag, what is shown as a picture by default, or a sign that is asked to be."""
_EMOJI_TAIL = re.compile("[\ufe0f\U0001f3fb-\U0001f3ff]|\u200d[\u2600-\u27bf\U0001f300-\U0001faff]\ufe0f?")
_CAPITALS = re.compile(r"(?:[A-ZÀ-ÖØ-ÞА-ЯЁ]{2,}[’']?[ \n]){3,}[A-ZÀ-ÖØ-ÞА-ЯЁ]{2,}")
_URL = re.compile(r"(?:https?://|www\.)\S+")
_LONG = re.compile(r"[^\s\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]+")
_BREAKS = re.compile(r"[-/\\?&=_.,:;|·–—]+")
_HAN = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WIDE = re.compile("(?<=[A-Za-z])[，。；：！？](?= ?[A-Za-z])")
_WORD = re.compile(r"[^\W\d_]+")
_SCRIPTS = (
    ("Chinese or Japanese", re.compile(f"[{_HAN}]"), ("zh", "ja", "ko", "yue", "wuu", "nan", "hak")),
    ("Korean", re.compile("[\uac00-\ud7af]"), ("ko",)),
    ("Cyrillic", re.compile("[\u0400-\u04ff]"), ("ru", "uk", "be", "bg", "sr", "mk", "kk", "ky", "mn", "tg")),
    ("Greek", re.compile("[\u0370-\u03ff]"), ("el",)),
    ("Arabic", re.compile("[\u0600-\u06ff]"), ("ar", "fa", "ur", "ps", "ckb", "ug", "sd")),
    ("Hebrew", re.compile("[\u0590-\u05ff]"), ("he", "yi")),
    ("Indic", re.compile("[\u0900-\u0dff]"), ("hi", "mr", "ne", "bn", "as", "pa", "gu", "or", "ta", "te", "kn", "ml")),
    ("Thai", re.compile("[\u0e00-\u0e7f]"), ("th",)),
    ("Latin", re.compile("[A-Za-zÀ-ɏ]"), ()),
)
_READ = ("editorial", "summary", "text", "headline")


def _line(subject: Subject, text: str) -> str:
    """Return subject or preheader as a reader sees it for whom nothing is known."""
    return "".join(piece if isinstance(piece, str) else piece.default for piece in part_of(text, subject.written.slots))


# ---------------------------------------------------------------------------------------------------------------------
# Subject and preheader
# ---------------------------------------------------------------------------------------------------------------------


def _subject_length(subject: Subject) -> Iterator[Found]:
    columns = width(_line(subject, subject.written.subject))
    most, least = subject.limits["subject_max"], subject.limits["subject_min"]
    place = subject.place_of_key("subject")
    if columns > most:
        yield Found(f"the subject is {columns} columns wide; {most:g} may be", place)
    elif columns < least:
        yield Found(f"the subject is {columns} columns wide", place, "say what the issue is about")


def _subject_characters(subject: Subject) -> Iterator[Found]:
    line, place = _line(subject, subject.written.subject), subject.place_of_key("subject")
    bare = _JOINED.sub("", line)
    bare = _JOINERS.sub("", bare) if _JOINING_SCRIPTS.search(line) else bare
    if found := _ODD_CHARACTERS.search(bare):
        name = unicodedata.name(found[0], f"U+{ord(found[0]):04X}")
        yield Found(f"the subject holds the invisible or broken character {name}", place, "write the subject anew")
    if found := _REPLY.match(line):
        yield Found(f"the subject begins with {found[0]!r}, as if it were an answer", place, "take that out")
    if found := _SHOUTING.search(line):
        yield Found(f"the subject shouts: {found[0]!r}", place, "one sign is enough")
    letters = [character for character in line if character.isalpha()]
    if len(letters) > 8 and all(character.isupper() for character in letters):
        yield Found("the subject is all in capitals", place, "write it as a sentence")


def _preheader_missing(subject: Subject) -> Iterator[Found]:
    if not subject.written.preheader.strip():
        yield Found("there is no preheader", subject.place_of_key("subject"))


def _preheader_length(subject: Subject) -> Iterator[Found]:
    columns = width(_line(subject, subject.written.preheader))
    most, least = subject.limits["preheader_max"], subject.limits["preheader_min"]
    if columns > most:
        yield Found(f"the preheader is {columns} columns wide; {most:g} may be", subject.place_of_key("preheader"))
    elif 0 < columns < least:
        where = subject.place_of_key("preheader")
        fix = f"write {least:g} columns or more"
        yield Found(f"the preheader is {columns} columns wide; mail programs fill it up", where, fix)


def _preheader_repeats(subject: Subject) -> Iterator[Found]:
    one, other = (_flat(_line(subject, text)) for text in (subject.written.subject, subject.written.preheader))
    if other and (one == other or (len(one) > 15 and other.startswith(one))):
        yield Found("the preheader says what the subject says", subject.place_of_key("preheader"))


def _flat(text: str) -> str:
    return " ".join(_WORD.findall(text.casefold()))


# ---------------------------------------------------------------------------------------------------------------------
# What was forgotten
# ---------------------------------------------------------------------------------------------------------------------

_PLACEHOLDER = re.compile("|".join(f"(?:{one})" for one in PLACEHOLDERS), re.MULTILINE)
_LOREM = re.compile(r"\blorem ipsum\b|\bdolor sit amet\b", re.IGNORECASE)
_BRACKET = re.compile(r"[{|%\[$]")
_FOREIGN = re.compile("|".join(FOREIGN_FIELDS))


def _placeholder(subject: Subject) -> Iterator[Found]:
    for prose in subject.prose:
        for pattern in (_PLACEHOLDER, _LOREM) if any(hint in prose.text for hint in PLACEHOLDER_HINTS) else ():
            if found := pattern.search(prose.text):
                yield Found(f"{quoted(found[0])} stands in {_part(prose)}", subject.place_of(found[0], prose.place))


def _scaffold(subject: Subject) -> Iterator[Found]:
    for prose in subject.prose:
        if found := next((words for words in SCAFFOLD if words in prose.text), ""):
            yield Found(f"{quoted(found)} stands in {_part(prose)}", subject.place_of(found, prose.place))


def _unresolved(subject: Subject) -> Iterator[Found]:
    for prose in subject.prose:
        for found in _FOREIGN.finditer(prose.text) if _BRACKET.search(prose.text) else ():
            message = f"{quoted(found[0])} would be printed as it stands"
            yield Found(message, subject.place_of(found[0], prose.place))


def _field_default(subject: Subject) -> Iterator[Found]:
    for slot in dict.fromkeys(slot for slot in subject.written.slots if slot.field == "name" and not slot.default):
        place = subject.find("{{ name }}") or subject.find("{{name}}") or subject.place_of_key("subject")
        yield Found(f"{{{{ {slot.field} }}}} shows nothing where no name is known", place)


def _part(prose: Prose) -> str:
    names = {"text": "the text", "title": "a heading", "alt": "a picture's description", "editorial": "the editorial"}
    return names.get(prose.part, f"the {prose.part}")


def _told_by_parser(id_: str, subject: Subject) -> Iterator[Found]:
    """Yield what the parser noticed under this id while it read the issue."""
    for problem in subject.written.warnings:
        if problem.rule == id_:
            yield Found(problem.message, problem.place, problem.hint)


# ---------------------------------------------------------------------------------------------------------------------
# How it is written
# ---------------------------------------------------------------------------------------------------------------------


def _long_word(subject: Subject) -> Iterator[Found]:
    most = subject.limits["word_max"]
    for prose in subject.prose:
        is_long = prose.part != "alt" and any(len(word) > most for word in prose.text.split())
        for found in _LONG.finditer(prose.text if is_long else ""):
            # Mail programs break lines behind a hyphen or a slash, and addresses nearly anywhere.
            longest = max((len(piece) for piece in _BREAKS.split(found[0])), default=0)
            if longest > most and not _URL.match(found[0]):
                place = subject.place_of(found[0], prose.place)
                yield Found(f"{found[0][:40]}… has {longest} characters without a break", place)


def _capitals(subject: Subject) -> Iterator[Found]:
    for prose in subject.prose:
        if prose.part in (*_READ, "preheader"):
            for found in _CAPITALS.finditer(prose.text):
                if sum(character.isalpha() for character in found[0]) >= 14:
                    place = subject.place_of(found[0].split("\n")[0], prose.place)
                    yield Found(f"{quoted(found[0])} is all in capitals", place)


def _emoji(subject: Subject) -> Iterator[Found]:
    total = 0
    for prose in subject.prose:
        count = len(_EMOJI.findall(_EMOJI_TAIL.sub("", prose.text)))
        total += count
        most = subject.limits["emoji_line_max"]
        if prose.part in ("subject", "preheader", "headline", "title") and count > most:
            yield Found(f"{_part(prose)} has {count} emoji; {most:g} may stand", prose.place)
    most = subject.limits["emoji_max"]
    if total > most:
        yield Found(f"the issue has {total} emoji; {most:g} may stand", subject.place_of_key("subject"))


@cache
def _narrow_signs() -> re.Pattern[str]:
    """Return what matches punctuation of Latin text amid Chinese or Japanese; slow to make, and few issues need it."""
    return re.compile(rf"(?<=[{_HAN}])[,;:!?](?=[{_HAN}]|$)|(?<=[{_HAN}])\.$|\((?=[{_HAN}])(?=[^()\n]*[{_HAN}]\))")


def _punctuation_width(subject: Subject) -> Iterator[Found]:
    for prose in subject.prose:
        share = _han_share(prose.text)
        pattern, where = (_narrow_signs(), "Chinese or Japanese") if share > 0.3 else (_WIDE, "Latin")
        if pattern is _WIDE and share:
            continue  # English words amid Chinese have wide signs around them
        signs = [found for line in prose.text.split("\n") for found in _in_context(pattern, line)]
        if signs:
            near, sign = signs[0]
            message = f"{sign!r} stands in {where} text: {near!r}"
            yield Found(message, subject.place_of(near, prose.place), count=len(signs))


def _in_context(pattern: re.Pattern[str], line: str) -> Iterator[tuple[str, str]]:
    for found in pattern.finditer(line):
        yield line[max(found.start() - 4, 0) : found.end() + 4].strip(), found[0]


def _han_share(text: str) -> float:
    """Return which part of the letters of ``text`` is Chinese or Japanese."""
    if text.isascii():
        return 0.0
    letters = sum(map(str.isalpha, text))
    return len(re.findall(f"[{_HAN}]", text)) / letters if letters else 0.0


# ---------------------------------------------------------------------------------------------------------------------
# The language
# ---------------------------------------------------------------------------------------------------------------------


def _language(subject: Subject) -> Iterator[Found]:
    text = "\n".join(MARKER.sub("", prose.text) for prose in subject.prose if prose.part in _READ)
    said = subject.language.lower().partition("-")[0]
    place = subject.place_of_key("lang")
    script = _script_of(text)
    if script and said not in script[1] and not (script[0] == "Latin" and not _is_other_script(said)):
        yield Found(f"the text is written in {script[0]} letters, and its language is said to be {said!r}", place)
    elif script and script[0] == "Latin" and (other := _other_language(text, said)):
        fix = f"write 'lang: {other}' in the front matter"
        yield Found(f"the text seems to be in {other!r}, and its language is said to be {said!r}", place, fix)


def _script_of(text: str) -> tuple[str, tuple[str, ...]] | None:
    """Return the script of most letters and the languages that are written in it, None for too few letters."""
    letters = sum(map(str.isalpha, text))
    for name, pattern, languages in _SCRIPTS[-1:] if text.isascii() else _SCRIPTS:
        if letters > 100 and len(pattern.findall(text)) > 0.6 * letters:
            return name, languages
    return None


def _is_other_script(language: str) -> bool:
    return any(language in languages for _, _, languages in _SCRIPTS)


def _other_language(text: str, said: str) -> str:
    """Return the language whose small words stand in ``text`` far more often than those of the one that is said."""
    words = Counter(_WORD.findall(text.casefold()))
    if said not in FUNCTION_WORDS or words.total() < 60:
        return ""
    counts = {tag: sum(words[word] for word in known.split()) for tag, known in FUNCTION_WORDS.items()}
    best = max(counts, key=counts.__getitem__)
    return best if counts[best] >= 15 and counts[best] > 3 * counts[said] else ""


def _of_parser(id_: str, why: str, fix: str) -> Check:
    return Check(id=id_, severity=Severity.WARNING, why=why, fix=fix, run=lambda subject: _told_by_parser(id_, subject))


CHECKS = (
    Check(
        id="text.subject-length",
        severity=Severity.WARNING,
        why="Phones show about 40 columns of a subject, desktops about 70; the rest is cut off.",
        fix="shorten it, the weighty words first",
        run=_subject_length,
        limits={"subject_max": 70, "subject_min": 4},
    ),
    Check(
        id="text.subject-characters",
        severity=Severity.WARNING,
        why="Invisible characters, a false 'Re:', capitals and rows of signs are what spam looks like.",
        fix="write the subject as a plain sentence",
        run=_subject_characters,
    ),
    Check(
        id="text.preheader-missing",
        severity=Severity.WARNING,
        why="Without a preheader, mail programs show the first words of the mail behind the subject.",
        fix="add 'preheader:' to the front matter",
        run=_preheader_missing,
    ),
    Check(
        id="text.preheader-length",
        severity=Severity.WARNING,
        why="Gmail and Apple Mail show about 90 to 140 columns behind the subject.",
        fix="shorten it, or say more",
        run=_preheader_length,
        limits={"preheader_max": 150, "preheader_min": 30},
    ),
    Check(
        id="text.preheader-repeats",
        severity=Severity.WARNING,
        why="The line behind the subject is the second chance to be opened, and should say something new.",
        fix="say what the subject does not",
        run=_preheader_repeats,
    ),
    Check(
        id="text.placeholder",
        severity=Severity.ERROR,
        why="TK, lorem ipsum and the like hold a place for words that are still to come.",
        fix="write the words, or take the place out",
        run=_placeholder,
    ),
    Check(
        id="text.scaffold",
        severity=Severity.WARNING,
        why="What 'newsletter new' wrote into the issue shows where words go, and is none of yours.",
        fix="write your own, or take it out",
        run=_scaffold,
    ),
    Check(
        id="text.unresolved-field",
        severity=Severity.ERROR,
        why="Merge fields of other programs, and fields in escaped braces, are printed as they stand.",
        fix='write {{ name | default("reader") }}, or show it as code if it is meant',
        run=_unresolved,
    ),
    Check(
        id="text.field-default",
        severity=Severity.WARNING,
        why="Readers whose name is not known would read 'Dear ,'.",
        fix='add | default("reader")',
        run=_field_default,
    ),
    _of_parser(
        UNKNOWN_TAG,
        "What stands in angle brackets and is no tag of HTML does not show: Vec<T> becomes Vec.",
        "to show it, write it as code, or with a backslash before the '<'",
    ),
    _of_parser(
        BRACES,
        "Attributes that are misspelt, or stand in the wrong place, are printed as text.",
        "attributes stand at the end of a heading or of an item's first paragraph",
    ),
    _of_parser(
        BROKEN_LINK,
        "A link whose title stands in curly quotes is no link, and is printed as text.",
        'write straight ones: [text](address "source")',
    ),
    Check(
        id="text.long-word",
        severity=Severity.WARNING,
        why="A word that is wider than a phone pushes the whole mail out of its column.",
        fix="break it with a hyphen or a space, or show it as code",
        run=_long_word,
        limits={"word_max": 40},
    ),
    Check(
        id="text.capitals",
        severity=Severity.WARNING,
        why="Capitals shout, read slowly, and are spelt out by some screen readers.",
        fix="write it as a sentence",
        run=_capitals,
    ),
    Check(
        id="text.emoji",
        severity=Severity.WARNING,
        why="Screen readers read out every emoji by its name, and spam filters count them.",
        fix="keep the one that says something",
        run=_emoji,
        limits={"emoji_line_max": 2, "emoji_max": 30},
    ),
    Check(
        id="text.punctuation-width",
        severity=Severity.WARNING,
        why="Chinese and Japanese are set with wide punctuation, Latin text with narrow.",
        fix="write ，。：；！？（） in Chinese and Japanese, and , . : ; ! ? ( ) in Latin text",
        run=_punctuation_width,
    ),
    Check(
        id="text.language",
        severity=Severity.WARNING,
        why="Screen readers pronounce, and mail programs offer to translate, by the language that the mail names.",
        fix="write the language of the text, such as 'lang: zh-Hans', in the front matter",
        run=_language,
    ),
    *DATE_CHECKS,
    *NAME_CHECKS,
)

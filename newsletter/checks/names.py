"""Check how names are spelt: against ``[checks] names``, and against the issue's own headlines; pure.

A name of the headlines is a word with a capital inside (``TikTok``), or one that begins with a capital amid a sentence.
Ordinary words are kept out as far as the issue itself shows them to be such, in small letters somewhere else.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from newsletter.checks.finding import Check, Found, Severity
from newsletter.checks.subject import Prose, Subject

_WORD = re.compile(r"[^\W\d_](?:[^\W_]|[’'](?=[^\W\d_]))*")
_URL = re.compile(r"(?:https?://|www\.)\S+|\S{1,99}@\S+|\S{1,99}\.(?:com|org|net|io|dev|cn)\b\S*")
_SENTENCE_END = re.compile(r"(?:^|[.!?:;。！？：；…\n\"“”‘«»(\[–—-])\s*$")
_POSSESSIVE = re.compile(r"[’']s?$")
_NAME_MIN = 6
"""Letters that a name must have for words one letter away from it to be taken for it."""
_ENDINGS = ("s", "n", "d", "r", "e", "a", "y", "es", "an", "ed", "er", "al")


@dataclass(frozen=True, slots=True)
class _Spellings:
    """Hold how names are spelt, by their keys: in the settings, and in the headlines; and all words of the issue.

    ``near`` has both, with their keys, by the first letter.
    """

    house: Mapping[str, str]
    forms: Mapping[str, str]
    counts: Mapping[str, int]
    near: Mapping[str, list[tuple[str, str]]]

    def right_form(self, word: str) -> str:
        """Return the spelling of a name from which a word differs in case, accents or apostrophes only, or ``""``."""
        key = _key(word)
        right = self.house.get(key) or self.forms.get(key, "")
        if not right or _same(word, right) or word.isupper():
            return ""
        if key in self.house:
            return right if not word.islower() or not right[1:].islower() else ""
        # A capital at the beginning alone says nothing: "Rust" the language, "rust" on iron.
        is_odd = _has_inner_capital(right) and word.casefold() == right.casefold() and not word.islower()
        return right if is_odd else ""

    def near_form(self, word: str) -> str:
        """Return the name that a word amid a sentence is one letter away from, ``""`` for none."""
        is_candidate = len(word) >= _NAME_MIN and word[0].isupper() and not word.isupper()
        if not is_candidate or self.is_ordinary(word) or self.counts[word] > 2:
            return ""
        key = _key(word)
        if key in self.house or key in self.forms:
            return ""
        for other, right in self.near.get(key[:1], ()):
            fits = abs(len(other) - len(key)) <= 1 and len(other) >= _NAME_MIN
            if fits and not self.is_ordinary(right) and _is_slip(key, other):
                return right
        return ""

    def is_ordinary(self, word: str) -> bool:
        """Tell whether the issue has the word in small letters somewhere."""
        return word.casefold() in self.counts


def _spelling(subject: Subject) -> Iterator[Found]:
    pieces = [prose for prose in subject.prose if prose.part != "alt"]
    words = [(prose, word, is_first) for prose in pieces for word, is_first in _words(prose.text)]
    house = {_key(name): name for name in subject.config.checks.names}
    counts = Counter(word for _, word, _ in words)
    forms = _forms_of_headlines(words, house)
    near: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for key, name in (*house.items(), *forms.items()):
        near[key[:1]].append((key, name))
    spellings = _Spellings(house, forms, counts, near)
    told: set[str] = set()
    for prose, word, is_first in words:
        if word in told:
            continue
        if right := spellings.right_form(word) or ("" if is_first else spellings.near_form(word)):
            told.add(word)
            where = "[checks] names" if right in house.values() else "a headline"
            message = f"{word!r} is spelt {right!r} in {where}"
            yield Found(message, subject.place_of(word, prose.place), f"write {right!r}", counts[word])


def _words(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each word of a text without a possessive ending, and whether it begins a sentence."""
    plain = _URL.sub(lambda found: " " * len(found[0]), text)
    for found in _WORD.finditer(plain):
        before = plain[max(found.start() - 3, 0) : found.start()]
        yield _POSSESSIVE.sub("", found[0]), bool(_SENTENCE_END.search(before)) or found.start() == 0


@lru_cache(maxsize=4096)
def _key(word: str) -> str:
    """Return what all spellings of a name share: its letters without accents, case and apostrophes."""
    plain = unicodedata.normalize("NFKD", word.casefold())
    return "".join(character for character in plain if character.isalnum())


def _same(one: str, other: str) -> bool:
    return one.replace("'", "’") == other.replace("'", "’")


def _has_inner_capital(word: str) -> bool:
    return any(character.isupper() for character in word[1:]) and not word.isupper()


def _forms_of_headlines(words: list[tuple[Prose, str, bool]], house: dict[str, str]) -> dict[str, str]:
    """Return the names of the headlines by their keys, each as most headlines spell it."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for prose, word, is_first in words:
        if prose.part == "headline" and len(word) > 2 and _is_name(word, is_first):
            found[_key(word)][word] += 1
    return {key: forms.most_common(1)[0][0] for key, forms in found.items() if key not in house}


def _is_name(word: str, is_first: bool) -> bool:
    return _has_inner_capital(word) or (word[0].isupper() and not is_first and not word.isupper())


def _is_slip(word: str, name: str) -> bool:
    """Tell whether ``word`` is ``name`` with a letter wrong, missing, doubled or swapped, and no other form of it."""
    if any(one + ending == other for ending in _ENDINGS for one, other in ((word, name), (name, word))):
        return False
    if len(word) == len(name):
        wrong = [at for at in range(len(word)) if word[at] != name[at]]
        if len(wrong) == 1:
            return wrong[0] < len(word) - 2
        swapped = len(wrong) == 2 and wrong[1] == wrong[0] + 1
        return swapped and word[wrong[0]] == name[wrong[1]] and word[wrong[1]] == name[wrong[0]]
    shorter, longer = sorted((word, name), key=len)
    return any(longer[:at] + longer[at + 1 :] == shorter for at in range(1, len(longer) - 1))


NAME_CHECKS = (
    Check(
        id="text.name-spelling",
        severity=Severity.WARNING,
        why="A name that is spelt in two ways is wrong in one of them, and its owner will notice.",
        fix="spell it as the headline does, or correct the headline",
        run=_spelling,
    ),
)

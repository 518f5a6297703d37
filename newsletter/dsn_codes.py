"""Hold what codes mean, which reasons weigh what, and hosts whose words mean something of their own.

Pure data, read by ``dsn_verdict``. Reasons are one small vocabulary: that of sisimai, which many operators know.
"""

import re
from collections.abc import Mapping

HARD = frozenset({"userunknown", "hostunknown", "hasmoved", "notaccept"})
"""Reasons that say: nobody can be reached at this address, and that will stay so."""

POLICY = frozenset(
    {
        "authfailure",
        "badreputation",
        "blocked",
        "contenterror",
        "failedstarttls",
        "norelaying",
        "notcompliantrfc",
        "policyviolation",
        "ratelimited",
        "rejected",
        "requireptr",
        "securityerror",
        "spamdetected",
        "syntaxerror",
        "toomanyconn",
        "virusdetected",
    }
)
"""Reasons that are about us, our relay or this message: they say nothing about the subscriber, and count for nobody."""

LOOKUP = re.compile(
    r"(host|domain|name)[^.]{0,60}(not found|service error)[^.]{0,40}try again|temporary (failure|error|dns|lookup)"
    r"|(server|dns) (failure|failed|timed out|timeout)|lookup (timed out|failure: try)"
)
"""A name that could not be looked up just now: never taken for one that is not there."""

STATUS: Mapping[str, str] = {
    "1.0": "rejected",
    "1.1": "userunknown",
    "1.2": "hostunknown",
    "1.3": "userunknown",
    "1.4": "filtered",
    "1.5": "",
    "1.6": "hasmoved",
    "1.7": "rejected",
    "1.8": "rejected",
    "1.9": "systemerror",
    "1.10": "notaccept",
    "2.0": "onhold",
    "2.1": "suspend",
    "2.2": "mailboxfull",
    "2.3": "exceedlimit",
    "2.4": "filtered",
    "3.0": "systemerror",
    "3.1": "systemfull",
    "3.2": "systemerror",
    "3.3": "systemerror",
    "3.4": "mesgtoobig",
    "3.5": "systemerror",
    "4.0": "networkerror",
    "4.1": "expired",
    "4.2": "expired",
    "4.3": "systemerror",
    "4.4": "networkerror",
    "4.5": "systemfull",
    "4.6": "networkerror",
    "4.7": "expired",
    "5.0": "syntaxerror",
    "5.1": "syntaxerror",
    "5.2": "syntaxerror",
    "5.3": "exceedlimit",
    "5.4": "systemerror",
    "5.5": "systemerror",
    "6.0": "contenterror",
    "6.1": "contenterror",
    "6.2": "contenterror",
    "6.3": "contenterror",
    "6.4": "contenterror",
    "6.5": "contenterror",
    "7.0": "securityerror",
    "7.1": "securityerror",
    "7.2": "filtered",
    "7.3": "securityerror",
    "7.4": "securityerror",
    "7.5": "securityerror",
    "7.6": "securityerror",
    "7.7": "securityerror",
    "7.8": "authfailure",
    "7.9": "authfailure",
    "7.13": "suspend",
    "7.14": "securityerror",
    "7.15": "ratelimited",
    "7.16": "ratelimited",
    "7.17": "hasmoved",
    "7.18": "hasmoved",
    "7.20": "authfailure",
    "7.21": "authfailure",
    "7.22": "authfailure",
    "7.23": "authfailure",
    "7.24": "authfailure",
    "7.25": "requireptr",
    "7.26": "authfailure",
    "7.27": "rejected",
    "7.28": "ratelimited",
    "7.509": "authfailure",
}
"""Subject and detail of an enhanced status → reason (RFC 3463, RFC 7372, RFC 7504, RFC 7505, the IANA registry)."""

SUBJECTS: Mapping[str, str] = {
    "2": "onhold",
    "3": "systemerror",
    "4": "networkerror",
    "5": "syntaxerror",
    "6": "contenterror",
    "7": "securityerror",
}
"""The subject alone → reason, for a detail that is not known (RFC 3463 section 3)."""

HARD_STATUS = frozenset({"1.1", "1.2", "1.3", "1.6", "1.10", "7.17", "7.18"})
"""Subject and detail that alone, without a word, make a permanent refusal hard: those of ``delivery``."""

HOSTS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "",  # any host
        (
            ("groups.google.com/support", "rejected"),
            ("~ dd this user doesn't have a [a-z0-9.-]+ account", "userunknown"),  # Yahoo, and those who pass it on
            ("~5\\.4\\.1 [^:]{0,120}recipient address rejected: access denied", "userunknown"),  # Exchange Online
        ),
    ),
    (
        r"(hotmail|outlook|live|msn|microsoft)\.",
        (
            ("requested action not taken: mailbox unavailable", "userunknown"),
            ("because the domain is not reachable", "hostunknown"),
        ),
    ),
    (
        r"yahoo(dns\.net|\.com|\.co\.[a-z]{2}|\.[a-z]{2})",
        (
            ("this user doesn't have a", "userunknown"),
            ("disabled or discontinued", "suspend"),
            ("mailbox is disabled", "suspend"),
        ),
    ),
    (
        # NTT DOCOMO answers after the text, in one way for unknown people and for those who filter what is not a phone
        r"docomo\.(example\.)?ne\.jp",
        (("unknown user", "filtered"), ("user unknown", "filtered"), ("552", "filtered")),
    ),
    (
        # KDDI: without the address the answer stands for a filter of the subscriber
        r"(ezweb\.ne\.jp|au\.com|uqmobile\.jp|dion\.ne\.jp)",
        (("~550 ?: ?user unknown", "filtered"), ("~550 ?<[^<>]*>: ?user unknown", "userunknown")),
    ),
    (
        r"facebook\.com",
        (
            ("rcp-p1", "userunknown"),
            ("rcp-p2", "filtered"),
            ("rcp-p3", "filtered"),
            ("int-p1", "systemerror"),
            ("int-p2", "systemerror"),
            ("int-p3", "systemerror"),
            ("int-p4", "systemerror"),
            ("con-t1", "toomanyconn"),
            ("pol-p", "policyviolation"),
        ),
    ),
    (
        r"(google|gmail|googlemail)\.com",
        (
            ("that you tried to reach is disabled", "suspend"),
            ("that you tried to reach is over quota", "mailboxfull"),
            ("inbox is out of storage", "mailboxfull"),
            ("receiving mail at a rate", "ratelimited"),
            ("receiving mail too quickly", "ratelimited"),
            ("multiple addresses in from", "notcompliantrfc"),
            ("rfc 5322 compliant", "notcompliantrfc"),
            ("content presents a potential", "policyviolation"),
        ),
    ),
    (
        # La Poste, Orange, SFR, Free: codes in brackets or at the end of the answer
        r"(laposte\.net|orange\.fr|wanadoo\.(fr|com)|sfr\.fr|free\.fr)",
        (
            ("~\\b(lpn|ofr|ouk)[0-9]*[_-]?(416|418)\\b", "userunknown"),
            ("~\\b(lpn|ofr|ouk)[0-9]*[_-]?417\\b", "mailboxfull"),
            ("~\\b(lpn|ofr|ouk)[0-9]*[_-]?(420|426)\\b", "suspend"),
            ("~\\b(lpn|ofr|ouk)[0-9]*[_-]?(102|103|401|510|999)\\b", "blocked"),
            ("~\\b(lpn|ofr|ouk)[0-9]*[_-]?(104)\\b", "toomanyconn"),
            ("~\\b(lpn|ofr|ouk)[0-9]*[_-]?(305|402)\\b", "securityerror"),
            ("~\\b(lpn|ofr|ouk)[0-9]*[_-]?(403|405|415|421)\\b", "rejected"),
            ("~\\b(lpn|ofr|ouk)[0-9]*[_-]?506\\b", "spamdetected"),
            ("~\\b(lpn|ofr|ouk)[0-9]*[_-]?505\\b", "systemerror"),
        ),
    ),
)
"""Words that mean something else at some hosts: (expression for a host or domain, its phrases with their reasons)."""

"""Check an issue, and the mail that it became, before it goes out: one table of checks, one file a group.

A check looks at a ``Subject`` and yields what it ``Found``; ``run_checks`` makes findings of it by the settings of
``[checks]`` and the waivers in the issue. Pure: nothing here reads a file, a clock or the network. To add a check,
write its function and its row in the file of its group; ``ALL_CHECKS`` lists the groups.
"""

from newsletter.checks import accessibility, clients, editorial, images, links, message, size, spam, text
from newsletter.checks.finding import Check, Finding, Found, Need, Report, Severity
from newsletter.checks.running import WAIVER_CHECKS, limits_of, run_checks, severities_of, unknown_settings
from newsletter.checks.subject import ImageFacts, Link, LinkAnswer, Picture, Prose, Subject
from newsletter.checks.verdicts import SpamRule, SpamVerdict

__all__ = [
    "ALL_CHECKS",
    "MANUAL_CHECKS",
    "Check",
    "Finding",
    "Found",
    "ImageFacts",
    "Link",
    "LinkAnswer",
    "Need",
    "Picture",
    "Prose",
    "Report",
    "Severity",
    "SpamRule",
    "SpamVerdict",
    "Subject",
    "limits_of",
    "run_checks",
    "severities_of",
    "unknown_settings",
]

ALL_CHECKS: tuple[Check, ...] = (
    *size.CHECKS,
    *links.CHECKS,
    *images.CHECKS,
    *text.CHECKS,
    *editorial.CHECKS,
    *clients.CHECKS,
    *accessibility.CHECKS,
    *message.CHECKS,
    *spam.CHECKS,
)
"""Every check that looks at a subject, in the order in which documents list them."""
MANUAL_CHECKS: tuple[Check, ...] = (*ALL_CHECKS, *WAIVER_CHECKS)
"""Every check there is: those of the waivers are run with any others."""

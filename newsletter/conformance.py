"""Check the bytes of a message against what a message must be; made messages and foreign files alike.

Reads with the standard library's parser, which shares no code with the modules that write a message.
"""

from newsletter.errors import Problem


def verify_message(content: bytes, *, domain: str = "", postal_address: str = "") -> tuple[Problem, ...]:
    """Return what ``content``, the bytes of one message, breaks of the rules, in the order of the rules; () if nothing.

    ``domain`` is the one that From must be at (not checked when empty), ``postal_address`` the text that both parts must
    show (not checked when empty). Each Problem has the ``rule``'s id, a message and a hint. Never raises, whatever
    ``content`` is.
    """
    raise NotImplementedError

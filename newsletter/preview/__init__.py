"""The preview: a page on this machine that shows an issue as its mail, and follows each save.

``child`` compiles in a process that stays warm; ``compiling`` asks it; ``studio`` watches the files and keeps what is
shown; ``app`` is the page. Nothing here changes an issue; a proof is mailed by ``newsletter send --to``.
"""

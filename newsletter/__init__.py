"""Compile weekly issues into editions, and mail them so that every row's fate can be proven.

The modules are flat, one purpose each; ``docs/architecture.md`` draws their layers.
"""

__version__ = "0.1.0"

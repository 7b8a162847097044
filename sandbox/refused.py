"""The one way in which the sandbox declines to start."""

from __future__ import annotations


class Refused(Exception):
    """The sandbox can't or must not start; the text tells a person why and what to do."""

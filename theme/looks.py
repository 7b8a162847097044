"""How a state looks: a word, an icon and a tone. The apps above own their tables of states; the theme only draws.

Red means: somebody here must act. Blue waits for a person elsewhere. Amber passes by itself. Grey rests. Green works.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Tone = Literal["ok", "info", "warn", "bad", "off"]


class Look(NamedTuple):
    word: str
    tone: Tone
    icon: str  # the id of a symbol in static/mailhub/icons.svg
    means: str = ""  # one sentence, for tool tips and banners

"""HTML of a stranger, made fit to be shown: no script, no form, nothing fetched from anywhere, links that tell nothing.

The sanitiser's time grows with the square of the nesting (100,000 nested lists: two minutes), so what is not small is
given to a process of its own, which ends when its time is over.
"""

from __future__ import annotations

import re
import resource
import subprocess
import sys

import nh3

LONGEST = 4 * 1024 * 1024  # characters; longer HTML is not shown
SMALL_TAGS, SMALL_LENGTH = 1500, 250_000  # at most 0.1 s, whatever they are
SECONDS = 2  # of its time; honest megabytes take a tenth
MEMORY = 1024**3  # bytes

_TAGS = {
    "a", "abbr", "acronym", "address", "article", "aside", "b", "bdi", "bdo", "big", "blockquote", "br", "caption", "center",
    "cite", "code", "col", "colgroup", "dd", "del", "details", "dfn", "div", "dl", "dt", "em", "figcaption", "figure", "font",
    "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "i", "ins", "kbd", "li", "main", "mark", "nav", "ol", "p",
    "pre", "q", "s", "samp", "section", "small", "span", "strike", "strong", "sub", "summary", "sup", "table", "tbody", "td",
    "tfoot", "th", "thead", "time", "tr", "tt", "u", "ul", "var", "wbr",
}  # fmt: skip
_DROPPED_WHOLE = {
    "script",
    "style",
    "title",
    "template",
    "noscript",
    "iframe",
    "object",
    "svg",
    "math",
    "select",
    "textarea",
}
_ATTRIBUTES = {
    "*": {"dir", "lang", "title"},
    "a": {"href"},
    "ol": {"start", "type"},
    "td": {"colspan", "rowspan", "align", "valign"},
    "th": {"colspan", "rowspan", "align", "valign"},
}
_REMOTE = re.compile(r"<(img|picture|video|audio|source|link|iframe|object|embed)\b|\bbackground\s*=|\burl\s*\(", re.I)


def holds_images_or_remote_content(html: str) -> bool:
    """Whether something was left out that a mail program would fetch or draw."""
    return bool(_REMOTE.search(html))


def sanitise(html: str) -> str | None:
    """What may stand in a page; None when it is too large, or too tangled to be cleaned in time."""
    if len(html) > LONGEST:
        return None
    if html.count("<") <= SMALL_TAGS and len(html) <= SMALL_LENGTH:
        return _clean(html)
    try:
        done = subprocess.run(
            [sys.executable, "-I", __file__],
            input=html.encode("utf-8", "replace"),
            capture_output=True,
            timeout=SECONDS * 2,
            check=True,
        )
    except subprocess.SubprocessError:
        return None
    return done.stdout.decode("utf-8")


def _clean(html: str) -> str:
    return nh3.clean(
        html,
        tags=_TAGS,
        clean_content_tags=_DROPPED_WHOLE,
        attributes=_ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        url_relative="deny",  # else a mail could link to pages of Mailhub itself
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )


def main() -> None:
    """The process that may be killed: HTML in, HTML out."""
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    sys.stdout.buffer.write(_clean(sys.stdin.buffer.read().decode("utf-8")).encode("utf-8"))


if __name__ == "__main__":
    main()

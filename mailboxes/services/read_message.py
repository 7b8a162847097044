"""A stored message for a person to read: its text, its HTML made harmless, the list of its files."""

from __future__ import annotations

from dataclasses import dataclass, field

from mailboxes.services import mime_parts
from mailboxes.services.mime_parts import Part, Unparsable, showable
from mailboxes.services.sanitise_html import holds_images_or_remote_content, sanitise

LONGEST_TEXT = 500_000  # characters shown
LONGEST_RAW = 200_000  # bytes shown of a message that cannot be taken apart


@dataclass(frozen=True, slots=True)
class AttachedFile:
    """`index` is what `attachment` takes. Offer it as a download only, whatever its content type says."""

    index: int
    filename: str
    content_type: str
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class ReadableMessage:
    """`html` is sanitised: no image, no form, no style; show it in a sandboxed frame all the same."""

    headers: list[tuple[str, str]] = field(default_factory=list)
    text: str = ""
    html: str = ""
    attachments: list[AttachedFile] = field(default_factory=list)
    left_out: bool = False  # images or remote content
    problem: str = ""  # a sentence: why it is not shown whole

    def header(self, name: str) -> str:
        """The first of this name, '' without."""
        return next((value for known, value in self.headers if known.lower() == name.lower()), "")


def read(raw: bytes) -> ReadableMessage:
    """Never raises for what is in the message: what cannot be taken apart is shown as it is."""
    try:
        message = mime_parts.parse(raw)
        headers = mime_parts.headers(message)
        parts = list(mime_parts.leaves(message))
    except Unparsable as why:
        return ReadableMessage(text=showable(raw[:LONGEST_RAW].decode("utf-8", "replace")), problem=str(why))
    except RecursionError:
        problem = "The message has too many parts within parts to be taken apart."
        return ReadableMessage(text=showable(raw[:LONGEST_RAW].decode("utf-8", "replace")), problem=problem)
    shown = [part for part in parts if not part.filename]
    text = "\n\n".join(part.text for part in shown if part.content_type == "text/plain")
    html = "\n<hr>\n".join(part.text for part in shown if part.content_type == "text/html")
    clean = sanitise(html) if html else ""
    return ReadableMessage(
        headers=headers,
        text=text[:LONGEST_TEXT],
        html=clean or "",
        attachments=[
            AttachedFile(index, part.filename, part.content_type, len(part.content))
            for index, part in enumerate(_files(parts))
        ],
        left_out=holds_images_or_remote_content(html),
        problem=_problem(parts, text, clean),
    )


def attachment(raw: bytes, n: int) -> Part:
    """The file with this index. Raises LookupError when there is none."""
    try:
        files = _files(list(mime_parts.leaves(mime_parts.parse(raw))))
    except (Unparsable, RecursionError) as error:
        raise LookupError("the message cannot be taken apart") from error
    if not 0 <= n < len(files):
        raise LookupError(f"there is no file {n}")
    return files[n]


def _files(parts: list[Part]) -> list[Part]:
    return [part for part in parts if part.filename]


def _problem(parts: list[Part], text: str, clean: str | None) -> str:
    if clean is None:
        return "The formatted text is too large or too tangled to be shown safely; the raw message has all of it."
    if len(text) > LONGEST_TEXT:
        return "The text is longer than what is shown here; the raw message has all of it."
    if len(parts) >= mime_parts.MOST_PARTS:
        return "The message has more parts than are shown here; the raw message has all of them."
    return ""

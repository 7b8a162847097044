"""What a strict Content-Security-Policy would block, and what would not be drawn, must not stand in any template."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args
from xml.etree import ElementTree

import pytest
from django.template.loader import get_template

from theme.looks import Tone

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = [ROOT / "templates", ROOT / "theme" / "templates"]
OWN_CODE = [ROOT / name for name in ("theme", "audit", "accounts", "mailboxes", "mailhub", "templates")]
STATIC = ROOT / "theme" / "static" / "mailhub"
TEMPLATES = sorted(path for folder in FOLDERS for path in folder.rglob("*.html"))

BLOCKED = {
    "a style attribute": re.compile(r"<[^>]*\sstyle\s*=", re.I),
    "an inline sheet": re.compile(r"<style\b", re.I),
    "an inline script": re.compile(r"<script\b(?![^>]*(\bsrc=|type=\"application/json\"))", re.I),
    "an event handler": re.compile(r"<[^>]*\son[a-z]+\s*=", re.I),
    "a script address": re.compile(r"javascript:", re.I),
    "a data address": re.compile(r"(src|href)=\"data:|data_uri", re.I),
    "another origin": re.compile(r"<(script|link|img|iframe)\b[^>]*(src|href)=\"(https?:)?//", re.I),
}


def icons_in_use() -> Iterator[tuple[str, str]]:
    tag = re.compile(r'{%\s*icon\s+"([\w-]+)"')
    look = re.compile(r'\b(?:Look|Page|Listing)\(\s*"[^"]*",\s*"([\w-]+)"(?:,\s*"([\w-]+)")?')
    for folder in OWN_CODE:
        for path in [*folder.rglob("*.html"), *folder.rglob("*.py")]:
            text = path.read_text()
            for name in tag.findall(text):
                yield name, str(path)
            for second, third in look.findall(text):
                yield third if second in get_args(Tone) else second, str(path)


def test_no_template_holds_what_the_policy_blocks() -> None:
    found = [
        (what, path) for path in TEMPLATES for what, pattern in BLOCKED.items() if pattern.search(path.read_text())
    ]

    assert not found


@pytest.mark.parametrize(
    ("what", "source"),
    [
        ("a style attribute", '<p class="x" style="color: red">'),
        ("an inline sheet", "<style>p {}</style>"),
        ("an inline script", '<script type="module">x()</script>'),
        ("an event handler", '<button onclick="x()">'),
        ("a script address", '<a href="javascript:x()">'),
        ("a data address", '<img src="data:image/png;base64,x">'),
        ("another origin", '<script src="https://cdn.example/x.js">'),
    ],
)
def test_the_guard_finds_what_it_looks_for(what: str, source: str) -> None:
    assert BLOCKED[what].search(source)


def test_every_template_parses() -> None:
    for folder in FOLDERS:
        for path in folder.rglob("*.html"):
            get_template(str(path.relative_to(folder)))


def test_every_icon_in_use_is_drawn() -> None:
    drawn = {symbol.get("id") for symbol in ElementTree.parse(STATIC / "icons.svg").getroot()}

    missing = {(name, path) for name, path in icons_in_use() if name not in drawn}

    assert not missing


def test_no_sheet_names_another_origin_or_an_unknown_token() -> None:
    sheets = {path.name: path.read_text() for path in STATIC.glob("*.css")}
    defined = set(re.findall(r"(--[\w-]+)\s*:", "".join(sheets.values())))
    used = set(re.findall(r"var\((--[\w-]+)\)", "".join(sheets.values())))

    assert used <= defined
    assert not [name for name, text in sheets.items() if re.search(r"url\(\"?(https?:)?//", text)]

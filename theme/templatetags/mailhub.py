"""Tags of the theme: icons, pills, times, sizes, charts (geometry: theme.charts, markup: templates/charts/)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from django import template
from django.forms.boundfield import BoundField
from django.http import HttpRequest
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import capfirst
from django.utils.timesince import timesince

from theme import charts, deeds
from theme.charts import Ending, Series
from theme.looks import Look

register = template.Library()

NOTHING = mark_safe('<span class="muted only-wide">–</span>')  # an empty cell; on a phone no line at all

# In this order: timesince binds number and word by a no-break space.
_SHORTER = {"\xa0": " ", " minutes": " min", " minute": " min", " hours": " h", " hour": " h"}


@register.simple_tag
def icon(name: str) -> SafeString:
    return format_html('<svg class="i" aria-hidden="true"><use href="{}#{}"/></svg>', static("mailhub/icons.svg"), name)


@register.simple_tag
def pill(look: Look, word: str = "") -> SafeString:
    """The state as icon and word; `word` replaces the look's own."""
    return format_html('<span class="pill t-{}">{}{}</span>', look.tone, icon(look.icon), word or look.word)


@register.simple_tag
def ago(moment: datetime | None, suffix: str = " ago") -> SafeString | str:
    """Short words, the exact time on hover; the future reads "in 3 min"."""
    if not moment:
        return "–"
    now = timezone.now()
    words = _span(abs(now - moment), now)
    return _time(moment, f"in {words}" if moment > now else f"{words}{suffix}")


@register.simple_tag
def at(moment: datetime | None) -> SafeString | str:
    """Day and minute, the second and the zone on hover."""
    if not moment:
        return "–"
    return _time(moment, f"{timezone.localtime(moment):%-d %b %Y, %H:%M}", whole=True)


def _span(gap: timedelta, now: datetime) -> str:
    if gap < timedelta(minutes=1):
        return f"{gap.seconds} s"
    words = timesince(now - gap, now, depth=1)
    for long, short in _SHORTER.items():
        words = words.replace(long, short)
    return words


def _time(moment: datetime, words: str, *, whole: bool = False) -> SafeString:
    """`whole`: the words are date and time, which mailhub.js turns into the reader's zone."""
    exact = f"{timezone.localtime(moment):%a %-d %b %Y, %H:%M:%S %Z}"
    mark = mark_safe(" data-date") if whole else ""
    return format_html('<time datetime="{}" title="{}"{}>{}</time>', moment.isoformat(), exact, mark, words)


@register.filter
def size(octets: int | None) -> str:
    """Octets as B, KiB, MiB or GiB, one decimal below ten."""
    if octets is None:
        return "–"
    amount, units = float(octets), ["B", "KiB", "MiB", "GiB", "TiB"]
    while amount >= 1023.5 and len(units) > 1:
        amount /= 1024
        units.pop(0)
    return f"{amount:,.1f} {units[0]}" if amount < 9.95 and units[0] != "B" else f"{amount:,.0f} {units[0]}"


@register.filter
def soft(address: str) -> SafeString:
    """An address that breaks before its @, where a column is too narrow for it."""
    name, at_sign, domain = address.rpartition("@")
    return format_html("{}<wbr>{}{}", name, at_sign, domain) if at_sign else format_html("{}", address)


@register.filter
def kind(value: object) -> str:
    """What a fact's value is, so that a fragment can draw it: look, time or text."""
    if isinstance(value, Look):
        return "look"
    return "time" if isinstance(value, datetime) else "text"


@register.filter
def initials(person: Any) -> str:
    """Two letters for the account button: of the name, else of the e-mail address."""
    words = (getattr(person, "name", "") or getattr(person, "email", "")).replace("@", " ").split()
    return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()


@register.filter
def plain(field: BoundField) -> SafeString:
    """The input without a placeholder: a visible label says it already, and stays while one types."""
    field.field.widget.attrs.pop("placeholder", None)
    return field.as_widget()


@register.filter
def inline_svg(document: str) -> SafeString:
    """An SVG document of our own making (the QR code), ready to stand inside HTML: a data: address would break the CSP."""
    return mark_safe(document[document.index("<svg") :])  # noqa: S308


@register.filter
def bare(changelist: Any) -> bool:
    """Whether the admin's list has no row at all, rather than none that fits a search."""
    return not (changelist.result_list or changelist.query or changelist.has_active_filters)


@register.simple_tag
def labelled(cell: SafeString, headers: Sequence[Mapping[str, Any]], number: int) -> SafeString:
    """A cell of the admin's list with its column's name: on a phone, where a row is a card, the name stands before it."""
    header = headers[number] if number < len(headers) else {}
    if "action-checkbox" in str(header.get("class_attrib", "")) or not cell.startswith("<td"):
        return cell
    label = format_html(' data-label="{}"', capfirst(header.get("text", "")))
    return mark_safe(f"<td{label}{cell[3:]}")  # noqa: S308 - both parts are escaped already


@register.simple_tag(takes_context=True)
def here_with(context: Mapping[str, Any], **changes: object) -> str:
    """This page's query string with some parameters set, or dropped when empty: "?tab=log&q=anna"."""
    request: HttpRequest = context["request"]
    query = request.GET.copy()
    for name, value in changes.items():
        if value in ("", None):
            query.pop(name, None)
        else:
            query[name] = str(value)
    return f"?{query.urlencode()}"


@register.inclusion_tag("charts/stacked_area.html")
def stacked_area(title: str, series: Sequence[Series], ticks: Sequence[str], slot: str = "Hour") -> dict[str, object]:
    """Series over named slots ("13:00", …); `slot` heads the table's first column."""
    chart = charts.stacked_area(series)
    names = [each.name for each in series]
    rows = [(tick, *(each.values[i] for each in series)) for i, tick in enumerate(ticks)]
    hover = [
        {"x": round(i * chart.slot_width, 1), "tick": tick, "values": list(zip(names, values, strict=True))}
        for i, (tick, *values) in enumerate(rows)
    ]
    every = max(1, len(ticks) // 4)
    return {
        "title": title,
        "chart": chart,
        "half": chart.top // 2,
        "hover": hover,
        "names": names,
        "rows": rows,
        "labels": [tick for i, tick in enumerate(ticks) if i % every == 0 and i < len(ticks) - every / 2]
        + [*ticks[-1:]],
        "slot": slot,
        "width": charts.AREA_WIDTH,
        "height": charts.AREA_HEIGHT,
    }


@register.inclusion_tag("charts/sparkline.html")
def sparkline(values: Sequence[int]) -> dict[str, object]:
    """Messages a day, oldest first."""
    total = sum(values)
    days = ", ".join(f"{value:,}" for value in values)
    label = f"{total:,} in {len(values)} days; a day: {days}" if values else "nothing yet"
    return {"bars": charts.sparkline(values), "total": total, "label": label}


@register.inclusion_tag("charts/state_timeline.html")
def state_timeline(title: str, changes: Sequence[tuple[datetime, Look]], end: datetime) -> dict[str, object]:
    """State changes, oldest first, as one lane a state; the table lists them newest first."""
    lanes = charts.lanes(changes, end)
    stretches = [(part.since, part.until, look) for look, parts in lanes.items() for part in parts]
    return {
        "title": title,
        "lanes": list(lanes.items()),
        "start": changes[0][0] if changes else end,
        "end": end,
        "rows": sorted(stretches, key=lambda row: row[0], reverse=True),
    }


@register.inclusion_tag("charts/expiry_strip.html")
def expiry_strip(title: str, endings: Iterable[Ending], today: date) -> dict[str, object]:
    """What ends within 90 days of `today`."""
    strips = charts.expiry_strip(endings, today)
    shown = [dot.ending for strip in strips for dot in strip.dots]
    return {"title": title, "strips": strips, "endings": shown}


@register.filter
def sentence(action: str) -> str:
    return deeds.sentence(action)


@register.filter
def named(name: str) -> str:
    """A field's name as a term: "client_id" → "Client id"."""
    return capfirst(name.replace("_", " "))


@register.filter
def compact(value: object) -> str:
    """A detail of an event for people: text as it is, yes and no, the rest as JSON."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@register.filter
def deed_icon(action: str) -> str:
    return deeds.icon(action)

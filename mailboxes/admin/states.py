"""States in lists: a filter that shows words, and tabs with counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from theme.looks import Look
from theme.parts import Tab


class StateFilter(admin.SimpleListFilter):
    """`?state__in=a,b`; unknown states simply match nothing."""

    title = "state"
    parameter_name = "state__in"
    looks: ClassVar[Mapping[str, Look]] = {}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state, look.word) for state, look in self.looks.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset.filter(state__in=value.split(",")) if value else queryset


def state_tabs(request: HttpRequest, states: Counter[str], groups: Sequence[tuple[str, Sequence[str]]]) -> list[Tab]:
    """All, then one tab a group, each with its count; the tab of the present filter is marked."""
    chosen = request.GET.get(StateFilter.parameter_name, "")
    tabs = [Tab("All", "?", not chosen, sum(states.values()))]
    for word, members in groups:
        value = ",".join(members)
        tabs.append(
            Tab(word, f"?{StateFilter.parameter_name}={value}", chosen == value, sum(states[s] for s in members))
        )
    return tabs

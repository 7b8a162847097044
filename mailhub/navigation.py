"""The sidebar, grouped by task, not by model. An entry appears only where its page exists and the person may open it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

if TYPE_CHECKING:
    from django.contrib.admin import AdminSite


class Page(NamedTuple):
    """A page of its own, by URL name."""

    word: str
    icon: str
    url_name: str
    allowed: Callable[[Any], bool]  # asked with the signed-in person


class Listing(NamedTuple):
    """The list of a model; its ModelAdmin says who may see it."""

    word: str
    icon: str
    model: str  # "app_label.model_name"
    covers: str = ""  # another model whose pages belong under this entry


class Entry(NamedTuple):
    word: str
    icon: str
    url: str
    current: bool
    model: str


def everyone(person: Any) -> bool:
    return True


def platform_operator(person: Any) -> bool:
    return bool(person.is_superuser)


NAVIGATION: list[tuple[str, list[Page | Listing]]] = [
    ("", [Page("Overview", "home", "dashboard", everyone)]),
    (
        "Mail",
        [
            Listing("Mailboxes", "mail", "mailboxes.mailbox", covers="mailboxes.message"),
            Listing("Outbox", "send", "mailboxes.outboxmessage"),
            Listing("Provider apps", "apps", "mailboxes.providerapp"),
        ],
    ),
    (
        "Control",
        [
            Listing("Audit", "list", "audit.auditevent"),
            Listing("People", "users", "accounts.membership"),
            Listing("API keys", "key", "accounts.apikey"),
            Listing("Organisations", "building", "accounts.tenant"),
        ],
    ),
    ("Platform", [Page("Operations", "pulse", "operations", platform_operator)]),
]


def build(site: AdminSite, request: HttpRequest) -> list[tuple[str, list[Entry]]]:
    """The groups with what this person may open; empty groups are left out."""
    admins = {model._meta.label_lower: model_admin for model, model_admin in site._registry.items()}
    groups = [(group, list(_entries(pages, admins, request))) for group, pages in NAVIGATION]
    return [(group, entries) for group, entries in groups if entries]


def _entries(pages: Iterable[Page | Listing], admins: dict[str, Any], request: HttpRequest) -> Iterable[Entry]:
    for page in pages:
        if isinstance(page, Page):
            allowed, name, model = page.allowed(request.user), page.url_name, ""
        else:
            model_admin = admins.get(page.model)
            allowed = model_admin is not None and model_admin.has_view_permission(request)
            name, model = f"admin:{page.model.replace('.', '_')}_changelist", page.model
        if not allowed:
            continue
        try:
            url = reverse(name)
        except NoReverseMatch:
            continue
        here = request.path == url if name == "dashboard" else request.path.startswith(url)
        if isinstance(page, Listing) and page.covers in admins:
            here = here or request.path.startswith(reverse(f"admin:{page.covers.replace('.', '_')}_changelist"))
        yield Entry(page.word, page.icon, url, here, model)

"""The audit log: read by those who may, exported, its chain verified on request. Nobody changes it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone

from accounts.admin.base import TenantAdmin
from accounts.models import Tenant
from accounts.roles import Right
from audit.entry import from_row, to_line
from audit.models import INSTALLATION, AuditEvent, ChainHead
from audit.own_heads import own_heads
from audit.rows import rows
from audit.verify import verify


class AboutFilter(admin.SimpleListFilter):
    """By the noun of the action: "mailbox.connected" is about mailboxes."""

    title = "about"
    parameter_name = "about"
    NOUNS = (
        ("mailbox", "Mailboxes"),
        ("link", "Connect links"),
        ("consent", "Consents"),
        ("token", "Permissions"),
        ("message", "Opened mail"),
        ("outbox", "Sending"),
        ("sync", "Syncs asked for"),
        ("providerapp", "Provider apps"),
        ("member", "People"),
        ("signin", "Sign-ins"),
        ("secondfactor", "Second factors"),
        ("tenant", "Organisations"),
    )

    def lookups(self, request: HttpRequest, model_admin: Any) -> tuple[tuple[str, str], ...]:
        return self.NOUNS

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEvent]) -> QuerySet[AuditEvent]:
        return queryset.filter(action__startswith=f"{self.value()}.") if self.value() else queryset


class TimeFilter(admin.SimpleListFilter):
    title = "time"
    parameter_name = "within"
    SPANS = (("1", "Last 24 hours"), ("7", "Last 7 days"), ("30", "Last 30 days"))

    def lookups(self, request: HttpRequest, model_admin: Any) -> tuple[tuple[str, str], ...]:
        return self.SPANS

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEvent]) -> QuerySet[AuditEvent]:
        if self.value() not in dict(self.SPANS):
            return queryset
        return queryset.filter(at__gte=timezone.now() - timedelta(days=int(self.value() or 0)))


@admin.register(AuditEvent)
class AuditEventAdmin(TenantAdmin):
    view_right: ClassVar[Right | None] = Right.AUDIT_VIEW

    list_display = ("seq", "at", "actor_label", "action", "object_label", "outcome")
    list_filter = (AboutFilter, "outcome", "actor_kind", TimeFilter)
    search_fields = ("actor_label", "object_label", "action")
    search_help_text = "Actor, object or action"
    list_per_page = 50
    ordering = ("-id",)
    actions = None
    change_list_template = "admin/audit/auditevent/change_list.html"
    change_form_template = "admin/audit/auditevent/change_form.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEvent]:
        """The chains of the tenants whose log this person may read; a platform operator sees the installation's too."""
        chosen: Any = request.tenant  # type: ignore[attr-defined]
        tenants = self.readable_tenants(request)
        if chosen is not None:
            return AuditEvent.objects.filter(tenant_id__in=tenants.filter(pk=chosen.pk).values("pk")).order_by("-id")
        mine = Q(tenant_id__in=tenants.order_by().values("pk"))
        if request.user.is_superuser:
            mine |= Q(chain=INSTALLATION)
        return AuditEvent.objects.filter(mine).order_by("-id")

    def readable_tenants(self, request: HttpRequest) -> QuerySet[Tenant]:
        person: Any = request.user
        tenants: QuerySet[Tenant] = person.tenants_with(Right.AUDIT_VIEW)
        return tenants

    def may(self, request: HttpRequest, right: Right | None, obj: Any = None) -> bool:
        if obj is not None and obj.tenant_id is None:
            return right == Right.AUDIT_VIEW and bool(request.user.is_superuser)
        return super().may(request, right, obj)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        chains = self.chains(request)
        heads = ChainHead.objects.filter(chain__in=chains)
        context = {
            "heading": "Audit",
            "chains": chains,
            "heads": [{"name": chains[head.chain], "seq": head.seq, "hash": head.hash} for head in heads],
        }
        answer = super().changelist_view(request, context | (extra_context or {}))
        if isinstance(answer, TemplateResponse) and answer.context_data and "cl" in answer.context_data:
            for event in answer.context_data["cl"].result_list:
                event.chain_name = chains.get(event.chain, "")
        return answer

    def chains(self, request: HttpRequest) -> dict[UUID, str]:
        """Chain → its name, of all that the list shows."""
        chosen: Any = request.tenant  # type: ignore[attr-defined]
        tenants = self.readable_tenants(request)
        if chosen is not None:
            tenants = tenants.filter(pk=chosen.pk)
        found = {tenant.pk: tenant.name for tenant in tenants}
        if chosen is None and request.user.is_superuser:
            found[INSTALLATION] = "the installation"
        return found

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        if object_id is None or request.method != "GET":
            raise Http404
        event: AuditEvent = self.row_or_404(request, object_id, Right.AUDIT_VIEW)
        around = AuditEvent.objects.filter(chain=event.chain, seq__in=(event.seq - 1, event.seq, event.seq + 1))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": event,
            "event": event,
            "title": f"Event {event.seq:,}",
            "listing": "Audit",
            "crumb": f"Event {event.seq:,}",
            "around": around.order_by("seq"),
            "tenant_name": self.chains(request).get(event.chain, ""),
        }
        return TemplateResponse(request, self.change_form_template, context)

    def get_urls(self) -> list[Any]:
        return [
            path("verify/", self.admin_site.admin_view(self.verify_view), name="audit_auditevent_verify"),
            path("export/<uuid:chain>/", self.admin_site.admin_view(self.export_view), name="audit_auditevent_export"),
            *super().get_urls(),
        ]

    def verify_view(self, request: HttpRequest) -> HttpResponse:
        """Recomputes every hash of every chain that this person may read, and holds them against the signed heads."""
        if not self.has_view_permission(request):
            raise Http404
        if request.method == "POST":
            heads = own_heads()
            for chain, name in self.chains(request).items():
                result = verify(chain, heads.get(str(chain)))
                if not result.ok:
                    messages.error(
                        request,
                        f"The chain of {name} is broken at event {result.first_bad}: {result.why}. The operator of this "
                        "Mailhub must look into it: compare with an export from before.",
                    )
                else:
                    tail = "its tail proven by a signed head" if result.tail_proven else "tail not proven yet"
                    messages.success(request, f"The chain of {name} is whole: {result.count:,} events, {tail}.")
        return HttpResponseRedirect(reverse("admin:audit_auditevent_changelist"))

    def export_view(self, request: HttpRequest, chain: UUID) -> StreamingHttpResponse:
        """A chain as JSON lines: all that `audit_verify --file` needs."""
        if chain not in self.chains(request):
            raise Http404
        answer = StreamingHttpResponse(lines(chain), content_type="application/x-ndjson")
        answer["Content-Disposition"] = f'attachment; filename="audit-{chain}.jsonl"'
        return answer


def lines(chain: UUID) -> Iterator[bytes]:
    for row in rows(chain):
        yield to_line(from_row(row))

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from accounts.errors import PeopleError
from accounts.models import User


class AddPage:
    """For an admin class whose rows are made by a service from a form of its own, and may end in a one-time link.

    The link is in the answer to the POST and nowhere else: not in the session, not in a message, not in a log.
    """

    admin_site: Any
    opts: Any
    add_title: str
    add_button: str

    get_add_form: Callable[[HttpRequest, Any], forms.Form]  # raises PermissionDenied for whoever may not add
    add: Callable[[HttpRequest, Any], HttpResponse]  # calls the service; raises PeopleError

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if object_id is None:
            return self._or_404(self.add_page, request)  # type: ignore[attr-defined,no-any-return]
        one_button = {"show_save_and_add_another": False, "show_save_and_continue": False}
        try:
            return super().changeform_view(request, object_id, form_url, one_button | (extra_context or {}))  # type: ignore[misc,no-any-return]
        except PeopleError as refusal:
            messages.error(request, str(refusal))
            return HttpResponseRedirect(request.path)

    def add_page(self, request: HttpRequest) -> HttpResponse:
        form = self.get_add_form(request, request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            try:
                with transaction.atomic():
                    return self.add(request, form)
            except PeopleError as refusal:
                form.add_error(None, str(refusal))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": self.add_title,
            "button": self.add_button,
            "form": form,
            "list_url": self.list_url(),
        }
        return TemplateResponse(request, "admin/accounts/add.html", context)

    def show_link(self, request: HttpRequest, user: User, link: str) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Set-password link",
            "person": user,
            "link": link,
            "list_url": self.list_url(),
        }
        answer = TemplateResponse(request, "admin/accounts/password_link.html", context)
        answer["Cache-Control"] = "no-store"
        answer["Referrer-Policy"] = "no-referrer"
        return answer

    def done(self, request: HttpRequest, words: str) -> HttpResponse:
        messages.success(request, words)
        return HttpResponseRedirect(self.list_url())

    def list_url(self) -> str:
        return reverse(f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_changelist")

    def actor(self, request: HttpRequest) -> User:
        user: Any = request.user
        return user  # type: ignore[no-any-return]

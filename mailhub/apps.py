from __future__ import annotations

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class MailhubAdminConfig(AdminConfig):
    default_site = "mailhub.site.MailhubSite"


class MailhubConfig(AppConfig):
    name = "mailhub"

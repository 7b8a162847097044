"""What every test may ask for. Servers are started once a test process, on first use, and ended by pid."""

from __future__ import annotations

from django.conf import settings
from django.db import connections

from tests.audit.lifted_triggers import flush_lifts_audit_triggers  # noqa: F401 - Django's flush must pass the audit triggers

# Tests run without collectstatic; the manifest has a test of its own (tests/theme).
settings.STORAGES = settings.STORAGES | {
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
}
settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # whitenoise warns of a missing one, and warnings are errors
settings.PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.MD5PasswordHasher"
]  # Argon2 is slow, as it should be elsewhere
if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # In memory SQLite locks tables and waits for nobody: threads are tested on a file, as the product runs on one.
    connections["default"].settings_dict["TEST"]["NAME"] = str(settings.MAILHUB_DATA / "test.sqlite3")

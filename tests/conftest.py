"""What every test may ask for. Servers are started once a test process, on first use, and ended by pid."""

from __future__ import annotations

from django.conf import settings

# Tests run without collectstatic; the manifest has a test of its own (tests/theme).
settings.STORAGES = settings.STORAGES | {
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
}
settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # whitenoise warns of a missing one, and warnings are errors
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # Argon2 is slow, as it should be elsewhere

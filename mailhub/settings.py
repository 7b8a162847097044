"""Settings of every Mailhub process. What may differ between installations is an environment variable (README)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from mailhub import env, local_secrets

BASE_DIR = Path(__file__).resolve().parent.parent

# What kind of installation this is -----------------------------------------------------------------------------------
MAILHUB_ENV = env.text("MAILHUB_ENV", "local")
if MAILHUB_ENV not in ("local", "production"):
    raise ImproperlyConfigured(f"MAILHUB_ENV must be local or production, got {MAILHUB_ENV!r}")
LOCAL = MAILHUB_ENV == "local"
DEBUG = False  # pages with local variables never leave this process, not even on a laptop

MAILHUB_DATA = Path(env.text("MAILHUB_DATA", str(BASE_DIR / "var"))).resolve()
MAILHUB_DATA.mkdir(parents=True, exist_ok=True, mode=0o700)
MAILHUB_PORT = env.number("MAILHUB_PORT", 8000, least=1)
MAILHUB_BASE_URL = env.text("MAILHUB_BASE_URL", f"http://localhost:{MAILHUB_PORT}" if LOCAL else None).rstrip("/")
MAILHUB_SANDBOX = env.switch("MAILHUB_SANDBOX", LOCAL)
MAILHUB_ALLOWED_NETWORKS = env.networks("MAILHUB_ALLOWED_NETWORKS")
MAILHUB_CA_BUNDLE = Path(bundle).resolve() if (bundle := env.text("MAILHUB_CA_BUNDLE", "")) else None

_made = local_secrets.ensure(MAILHUB_DATA) if LOCAL else {}
SECRET_KEY = env.text("MAILHUB_SECRET_KEY", _made.get("MAILHUB_SECRET_KEY"))
MAILHUB_ENCRYPTION_KEYS = [
    key.strip()
    for key in env.text("MAILHUB_ENCRYPTION_KEYS", _made.get("MAILHUB_ENCRYPTION_KEYS")).split(",")
    if key.strip()
]
FIELD_ENCRYPTION_KEY = MAILHUB_ENCRYPTION_KEYS  # django-encrypted-model-fields reads it at import: the first encrypts
MAILHUB_AUDIT_KEY = env.text("MAILHUB_AUDIT_KEY", "")  # Ed25519, PEM; locally made once in MAILHUB_DATA
MAILHUB_AUDIT_HEADS = Path(env.text("MAILHUB_AUDIT_HEADS", str(MAILHUB_DATA / "audit-heads.jsonl")))
AUDIT_TENANT_MODEL = "accounts.Tenant"

_url = urlsplit(MAILHUB_BASE_URL)
if _url.scheme not in ("http", "https") or not _url.hostname or _url.path:
    raise ImproperlyConfigured(f"MAILHUB_BASE_URL must be like https://mail.example.org, got {MAILHUB_BASE_URL!r}")
ALLOWED_HOSTS = [_url.hostname, "localhost", "127.0.0.1"] if LOCAL else [_url.hostname]
HTTPS = _url.scheme == "https"

# Applications --------------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "theme",  # before the admin: its templates win
    "mailhub.apps.MailhubConfig",
    "mailhub.apps.MailhubAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "audit",
    "accounts",
    "mailboxes",
    "mailboxes.consent",  # registers our provider class with allauth
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.mfa",
    "django_rq",
    "ninja",  # so that the API's page takes its script from here, not from a stranger's server
    "csp",
]
MIDDLEWARE = [
    "mailhub.request_log.RequestLogMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "mailhub.canonical_host.CanonicalHostMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "accounts.second_factor.SecondFactorMiddleware",
    "accounts.middleware.TenantMiddleware",
]
ROOT_URLCONF = "mailhub.urls"
WSGI_APPLICATION = "mailhub.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# Data ----------------------------------------------------------------------------------------------------------------
_database = environ.Env.db_url_config(env.text("DATABASE_URL", f"sqlite:///{MAILHUB_DATA / 'mailhub.sqlite3'}"))
if _database["ENGINE"].endswith("sqlite3"):
    _database |= {
        # IMMEDIATE: a transaction that will write takes the lock at its start and waits, instead of failing in the middle.
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=20000; "
            "PRAGMA foreign_keys=ON; PRAGMA cache_size=-32000;",
        }
    }
else:
    _database |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
DATABASES = {"default": _database}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = {
    # In the database: rate limits of the sign-in must be shared by all processes and survive a lost Redis.
    "default": {"BACKEND": "mailhub.json_cache.JsonDatabaseCache", "LOCATION": "mailhub_cache"}
}
STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": MAILHUB_DATA / "files"},
    },
    "packs": {
        "BACKEND": "mailboxes.services.pack_storage.LocalPackStorage",
        "OPTIONS": {"location": MAILHUB_DATA / "packs"},
    },
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
STATIC_URL = "/static/"
STATIC_ROOT = MAILHUB_DATA / "static"

# Queues --------------------------------------------------------------------------------------------------------------
REDIS_URL = env.text("REDIS_URL", f"unix://{MAILHUB_DATA / 'redis.sock'}?db=0")
RQ_QUEUES = {
    name: {"URL": REDIS_URL, "DEFAULT_TIMEOUT": 900, "REDIS_CLIENT_KWARGS": {"socket_connect_timeout": 5}}
    for name in ("sync", "send", "upkeep")
}
RQ = {"WORKER_CLASS": "mailboxes.jobs.worker.Worker"}
RQ_SHOW_ADMIN_LINK = False

# People (accounts/, allauth) -----------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
PASSWORD_RESET_TIMEOUT = 86400  # seconds that a set-password link lives; the pages say 24 hours
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "dashboard"
ACCOUNT_ADAPTER = "accounts.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"  # people are made by an administrator, never by signing up
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_REAUTHENTICATION_TIMEOUT = 900  # seconds
ACCOUNT_PREVENT_ENUMERATION = True
# How many proxies of ours stand in front: rate limits and the audit log then see the client's address, not the proxy's.
ALLAUTH_TRUSTED_PROXY_COUNT = env.number("MAILHUB_TRUSTED_PROXIES", 0)
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if HTTPS else "http"
SOCIALACCOUNT_ADAPTER = "mailboxes.consent.adapters.SocialAdapter"
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False
SOCIALACCOUNT_REQUESTS_TIMEOUT = (3.05, 10)  # seconds to connect, to read
MFA_ADAPTER = "accounts.adapters.MFAAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Mailhub"
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = LOCAL and not HTTPS  # passkeys on http://localhost

# Browser -------------------------------------------------------------------------------------------------------------
CONTENT_SECURITY_POLICY = {
    # No form-action: it would stop the redirect to the provider after the owner's POST (Chromium checks redirects).
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"  # the letter frame of a message alone says otherwise
SESSION_COOKIE_NAME = "mailhub_session"
CSRF_COOKIE_NAME = "mailhub_csrf"  # cookies ignore ports: own names beside other local servers
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"  # Strict would lose the session on the way back from the provider
SESSION_COOKIE_AGE = 12 * 3600  # seconds
CSRF_COOKIE_HTTPONLY = True
CSRF_TRUSTED_ORIGINS = [MAILHUB_BASE_URL]
if HTTPS:
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$"]
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 365 * 86400
    SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = True

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True
USE_THOUSAND_SEPARATOR = True
FORMAT_MODULE_PATH = "theme.formats"

# Work ----------------------------------------------------------------------------------------------------------------
MAILHUB_POLL_LEASE = timedelta(seconds=env.number("MAILHUB_POLL_LEASE_SECONDS", 600, least=5))
MAILHUB_SEND_LEASE = timedelta(seconds=env.number("MAILHUB_SEND_LEASE_SECONDS", 600, least=5))
# It outlasts the request it stands for (http.TOTAL, 20 s), or two processes would send the same refresh token.
MAILHUB_REFRESH_LEASE = timedelta(seconds=env.number("MAILHUB_REFRESH_LEASE_SECONDS", 60, least=30))
MAILHUB_POLL_INTERVAL = timedelta(seconds=env.number("MAILHUB_POLL_INTERVAL_SECONDS", 60, least=1))

# API -----------------------------------------------------------------------------------------------------------------
MAILHUB_API_REQUESTS_PER_MINUTE = env.number("MAILHUB_API_REQUESTS_PER_MINUTE", 3000, least=1)  # of one key

# Logs: one line an event on standard error; paths with secrets are redacted in mailhub/request_log.py -----------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.text("MAILHUB_LOG_LEVEL", "INFO").upper()},
    "loggers": {
        "django.request": {"level": "CRITICAL"},  # it logs full paths; the request log does it redacted
        "django.security.csrf": {"level": "CRITICAL"},
        "urllib3": {"level": "WARNING"},
        "rq.worker": {"level": "WARNING"},
    },
}

if MAILHUB_ENV == "production":
    from mailhub import production

    production.refuse_weak_settings(globals())

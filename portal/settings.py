"""All settings, read from the environment.

Outside the sandbox nothing that matters has a default: a missing value stops the process with
its name. Secrets may also come from a file named by NAME_FILE. `SALLYPORT_SANDBOX=true` gives
every value a default that only makes sense on one's own machine.
"""

import os
import secrets
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
import structlog
from django.core.exceptions import ImproperlyConfigured
from django.utils.csp import CSP

from notices.core.parse import channel_names, mailers, networks
from provisioning.core.onboarding import PORTAL_PRINCIPAL
from provisioning.core.onboarding_files import is_template_address

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.FileAwareEnv()

# --- What kind of installation this is -------------------------------------------------------

SANDBOX: bool = env.bool("SALLYPORT_SANDBOX", default=False)
VAR_DIR = Path(env.str("SALLYPORT_VAR", default=str(BASE_DIR / "var")))


def required(name: str, sandbox: str) -> str:
    """The value of a setting that production must state and the sandbox has a default for."""
    value: str = env.str(name, default=sandbox if SANDBOX else "")
    if not value:
        message = (
            f"Set {name} (or {name}_FILE) in the environment; docs/settings.md says what it is."
        )
        raise ImproperlyConfigured(message)
    return value


def counted(name: str, *, default: int, most: int) -> int:
    """The value of a setting that is a number from 0 on."""
    value: int = env.int(name, default=default)
    if not 0 <= value <= most:
        raise ImproperlyConfigured(f"{name} has to be a number from 0 to {most}.")
    return value


def sandbox_secret_key() -> str:
    """A random key of this checkout's own, so that no sandbox shares a well-known one."""
    path = VAR_DIR / "secret_key"
    if not path.exists():
        VAR_DIR.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(50))
    return path.read_text()


DEBUG = False
SECRET_KEY = env.str("SECRET_KEY", default="") or (
    sandbox_secret_key() if SANDBOX else required("SECRET_KEY", "")
)
BASE_URL = required("SALLYPORT_BASE_URL", "http://127.0.0.1:8000").rstrip("/")
ALLOWED_HOSTS = required("ALLOWED_HOSTS", "127.0.0.1,localhost").split(",")
CSRF_TRUSTED_ORIGINS = [BASE_URL]
PORTAL_ID = required("SALLYPORT_PORTAL_ID", "sandbox")
"""Which installation made an AWS object: the value of its tag `sallyport:portal`."""

# --- AWS -------------------------------------------------------------------------------------

AWS_ENDPOINT_URL = env.str("AWS_ENDPOINT_URL", default="")
"""Read by botocore itself. Only the sandbox and the tests may set it (check sallyport.E001)."""
AWS_PORTAL_PRINCIPAL = required(
    "SALLYPORT_PORTAL_PRINCIPAL", "arn:aws:iam::999999999999:user/sallyport-portal"
)
"""ARN of the portal's own identity: what provisioner roles trust. Its one right is AssumeRole."""
if PORTAL_PRINCIPAL.fullmatch(AWS_PORTAL_PRINCIPAL) is None:
    raise ImproperlyConfigured(
        "SALLYPORT_PORTAL_PRINCIPAL has to be the ARN of one role or one IAM user, not of an "
        "account's root and not of a session."
    )

TEMPLATE_URL = env.str("SALLYPORT_TEMPLATE_URL", default="")
"""Where AWS finds the CloudFormation template in S3; without it there is no quick-create link."""
if TEMPLATE_URL and not is_template_address(TEMPLATE_URL):
    raise ImproperlyConfigured("SALLYPORT_TEMPLATE_URL has to be an https address in S3.")

SANDBOX_CONSOLE_BASE = f"{BASE_URL}/sandbox/console" if SANDBOX else ""
"""What stands for the AWS console: nothing outside the sandbox."""

# --- Django ----------------------------------------------------------------------------------

INSTALLED_APPS = [
    "portal.apps.PortalConfig",
    "notices",
    "reviews",
    "provisioning",
    "accounts",
    "audit",
    *(["sandbox"] if SANDBOX else []),
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "django_structlog",
]

MIDDLEWARE = [
    "portal.health.HealthMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "portal.middleware.HtmxSignInMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "portal.middleware.NeverStoreMiddleware",
]

ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            # Every page writes names, so every page has the filter without asking.
            "builtins": ["portal.templatetags.names"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "portal.context.shell",
            ],
        },
    }
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

DATABASES: dict[str, dict[str, Any]] = {
    "default": env.db_url_config(
        required("DATABASE_URL", f"sqlite:///{VAR_DIR / 'sallyport.sqlite3'}")
    )
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Several processes share the file: writers take the lock at the start of a transaction and
    # wait for each other, instead of failing when a read turns into a write.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    DATABASES["default"] |= {"CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True}
    if env.bool("SALLYPORT_PREPARED_STATEMENTS", default=True):
        # PostgreSQL plans what a connection says for the third time once and for all: planning is
        # most of its work for our questions, which join many small tables. What stands in the
        # address of the database comes last, and wins.
        DATABASES["default"]["OPTIONS"] = {
            "server_side_binding": True,
            "prepare_threshold": 2,
        } | DATABASES["default"].get("OPTIONS", {})

# --- People ----------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.sign_in.backend.LimitedBackend"]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# --- Security --------------------------------------------------------------------------------

HTTPS = urlsplit(BASE_URL).scheme == "https"
SECURE_SSL_REDIRECT = HTTPS
BEHIND_PROXY = env.bool("SALLYPORT_BEHIND_PROXY", default=False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
PROXIES = counted("SALLYPORT_PROXIES", default=0, most=10)
"""How many proxies append the address that they were asked from to X-Forwarded-For."""
SIGN_IN_TRIES = counted("SALLYPORT_SIGN_IN_TRIES", default=5, most=100)
"""Wrong passwords one after the other before somebody has to wait; 0 for no limit at all."""
SIGN_IN_ADDRESS_TRIES = counted("SALLYPORT_SIGN_IN_ADDRESS_TRIES", default=100, most=1_000_000)
"""The same for all user names together from one network address."""
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
# The __Host- prefix makes browsers refuse the cookie from a sibling host or without TLS.
SESSION_COOKIE_NAME = "__Host-sallyport" if HTTPS else "sallyport"
CSRF_COOKIE_NAME = "__Host-csrf" if HTTPS else "csrf"
DEVICE_COOKIE_NAME = "__Host-device" if HTTPS else "device"
"""Which browsers somebody has signed in with before (`accounts.sign_in.origin`)."""
CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 12 * 60 * 60
X_FRAME_OPTIONS = "DENY"
SECURE_CSP = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.SELF],
    "style-src": [CSP.SELF],
    "img-src": [CSP.SELF],
    "connect-src": [CSP.SELF],
    "form-action": [CSP.SELF],
    "base-uri": [CSP.NONE],
    "frame-ancestors": [CSP.NONE],
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 262_144
"""The largest thing that anybody posts is an inline policy; AWS takes 10,240 characters of it."""

# --- Time and language -----------------------------------------------------------------------

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

# --- Static files ----------------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "static"
WHITENOISE_USE_FINDERS = SANDBOX
WHITENOISE_AUTOREFRESH = SANDBOX
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if SANDBOX
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# --- Celery ----------------------------------------------------------------------------------
# The database is the record; a message is only a nudge (docs/adr/0005). So results are not kept,
# a message is acknowledged after its work, and losing any of them is harmless.

CELERY_BROKER_URL = required("BROKER_URL", "redis://127.0.0.1:6379/0")
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# For workers of processes. One of threads cannot stop a thread: there the time-outs of each call
# end a task, and a lease that runs out gives its work to another worker (docs/adr/0025).
CELERY_TASK_TIME_LIMIT = 300
CELERY_TASK_SOFT_TIME_LIMIT = 270
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 600}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_DEFAULT_QUEUE = "sallyport"
CELERY_DB_REUSE_MAX = sys.maxsize
"""Never, instead of around each task, does Celery close a connection: portal/celery.py looks after
them as Django does in web processes."""
CELERY_TIMEZONE = "UTC"

NUDGE_TIMEOUT = 1.0
"""Seconds a web page may spend on telling the workers; the sweeper finds what they missed."""

CALLS_PER_SECOND = env.float("SALLYPORT_CALLS_PER_SECOND", default=20.0)
"""The most calls a second that all workers together make to one AWS account; fewer for a while
when AWS throttles."""

SCAN_EVERY = timedelta(minutes=env.float("SALLYPORT_SCAN_MINUTES", default=10.0))
"""How often each account is read as a whole and compared with the rows."""
ORPHAN_GRACE = timedelta(minutes=env.float("SALLYPORT_ORPHAN_GRACE", default=15.0))
"""How long a role of ours that no live access answers for is left alone before it is removed."""
CHECK_EVERY = timedelta(hours=env.float("SALLYPORT_CHECK_HOURS", default=6.0))
"""How often each account's connection is checked."""

HEARTBEAT = env.str("SALLYPORT_HEARTBEAT", default="")
"""A file that sweeper or notifier touches after each round, for a health check to look at."""

# --- Notices ---------------------------------------------------------------------------------
# Sent by `manage.py notify` alone, so addresses that hold secrets are given to that process only.

MAIL_FROM = env.str("SALLYPORT_MAIL_FROM", default="sallyport@sandbox.invalid" if SANDBOX else "")
"""The sender of mail; without one no mail is sent."""
DEFAULT_FROM_EMAIL = MAIL_FROM or "webmaster@localhost"
MAIL_FOLDER = VAR_DIR / "mail"
"""Where the sandbox's mail goes instead of a mail server."""
_mail_url = env.str("SALLYPORT_MAIL_URL", default="")
MAIL_IS_SENT = SANDBOX or bool(_mail_url)
"""Whether this process knows a mail server; the notifier has to."""
MAILERS = (
    {"default": {"BACKEND": "sandbox.mail.FolderBackend", "OPTIONS": {"folder": MAIL_FOLDER}}}
    if SANDBOX
    else mailers(_mail_url)
)
CHANNELS = channel_names(env.str("SALLYPORT_CHANNELS", default=""))
"""Names of the shared channels that admins can choose."""
CHANNEL_ADDRESSES = env.str("SALLYPORT_CHANNEL_ADDRESSES", default="")
"""Where each channel leads, as TOML (`notices.channels`)."""
WEBHOOK_NETWORKS = networks(env.str("SALLYPORT_WEBHOOK_NETWORKS", default=""))
"""Networks that are not public, and that webhooks may be sent into all the same."""

# --- Logs ------------------------------------------------------------------------------------

DJANGO_STRUCTLOG_CELERY_ENABLED = False
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False  # portal.logs says it.
_shared_processors: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "events": {
            "()": structlog.stdlib.ProcessorFormatter,
            # Plain: what a person's machine has installed must not decide whether a log shows the
            # values of variables, with secrets among them.
            "processor": structlog.dev.ConsoleRenderer(
                colors=False, exception_formatter=structlog.dev.plain_traceback
            )
            if SANDBOX
            else structlog.processors.JSONRenderer(),
            "foreign_pre_chain": _shared_processors,
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "events"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {"botocore": {"level": "WARNING"}, "django.request": {"level": "ERROR"}},
}
structlog.configure(
    processors=[
        *_shared_processors,
        structlog.processors.format_exc_info,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)
os.environ.setdefault("TZ", "UTC")

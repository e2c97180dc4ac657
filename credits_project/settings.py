"""Every setting, in Django's order.

What differs between machines comes from the environment, or from a file `.env` beside
`manage.py`. An unsafe or missing value stops the start with one line that names it.
Each name stands in `.env.example` and in the README; a test compares the three.
"""

from __future__ import annotations

from pathlib import Path

from credits_project import embedded_postgres
from credits_project.connections import connected
from credits_project.environment import Environment

BASE_DIR = Path(__file__).resolve().parent.parent

env = Environment(BASE_DIR / ".env")

# Core

DEBUG = env.boolean("DEBUG", default=False)
SECRET_KEY = env.secret("SECRET_KEY", minimum_length=50)
SECRET_KEY_FALLBACKS = env.words("SECRET_KEY_FALLBACKS")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS")
# The one address in mails and in what the gateway is told. Never built from the Host
# header, which the client chooses.
SITE_URL = env.site_url("SITE_URL", default="http://127.0.0.1:8000", debug=DEBUG)
CSRF_TRUSTED_ORIGINS = [SITE_URL]
ROOT_URLCONF = "credits_project.urls"
WSGI_APPLICATION = "credits_project.wsgi.application"
# No redirect between the two forms of an address: a gateway takes one for a failure.
APPEND_SLASH = False
# How many proxies of our own stand in front: that many entries at the right end of
# X-Forwarded-For are true, everything further left is what the client says.
TRUSTED_PROXY_COUNT = env.integer("TRUSTED_PROXY_COUNT", default=0, minimum=0)

INSTALLED_APPS = [
    "credits_project",
    "wallets",
    "payments",
    "courses",
    "withdrawals",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.headless",
    "corsheaders",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "procrastinate.contrib.django",
]

MIDDLEWARE = [
    "credits_project.middleware.RequestIdMiddleware",
    "credits_project.middleware.ProbeMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "credits_project.middleware.NoStoreMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "credits_project.middleware.StaffMfaMiddleware",
    "credits_project.middleware.ConsoleNulMiddleware",
]

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
            ],
        },
    },
]

# Data

DATABASES = {
    "default": connected(env.database("DATABASE_URL", default=embedded_postgres.url())),
}
if env.given("DATABASE_REPLICA_URL"):
    DATABASES["replica"] = connected(env.database("DATABASE_REPLICA_URL", default=""))
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# Shared by all processes: allauth counts in it who signs in how often.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "shared_cache",
        "OPTIONS": {"MAX_ENTRIES": 10_000},
    }
}

# Signing in

AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
_VALIDATION = "django.contrib.auth.password_validation"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"{_VALIDATION}.UserAttributeSimilarityValidator"},
    {"NAME": f"{_VALIDATION}.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": f"{_VALIDATION}.CommonPasswordValidator"},
    {"NAME": f"{_VALIDATION}.NumericPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"

ACCOUNT_ADAPTER = "credits_project.accounts.AccountAdapter"
ACCOUNT_EMAIL_SUBJECT_PREFIX = "Course Credits: "
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "optional"
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_DEFAULT_HTTP_PROTOCOL = SITE_URL.partition(":")[0]
# allauth's own limits for signing in, up and resetting; False switches all off.
ACCOUNT_RATE_LIMITS: dict[str, str] | bool = (
    {} if env.boolean("AUTH_RATE_LIMITS", default=True) else False
)
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXY_COUNT
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_TOTP_ISSUER = "Course Credits"
STAFF_MFA_REQUIRED = env.boolean("STAFF_MFA_REQUIRED", default=True)
HEADLESS_ONLY = False
HEADLESS_CLIENTS = ("app", "browser")
HEADLESS_SERVE_SPECIFICATION = True
# Its page takes its script from elsewhere, which the security policy forbids.
HEADLESS_SPECIFICATION_TEMPLATE_NAME = None
HEADLESS_TOKEN_STRATEGY = "allauth.headless.tokens.strategies.jwt.JWTTokenStrategy"  # noqa: S105 - a path, not a secret
# The links in mails; allauth would take the Host header for them.
_ACCOUNTS = f"{SITE_URL}/accounts"
HEADLESS_FRONTEND_URLS = {
    "account_confirm_email": f"{_ACCOUNTS}/confirm-email/{{key}}/",
    "account_reset_password": f"{_ACCOUNTS}/password/reset/",
    "account_reset_password_from_key": f"{_ACCOUNTS}/password/reset/key/{{key}}/",
    "account_signup": f"{_ACCOUNTS}/signup/",
}
HEADLESS_JWT_ALGORITHM = "HS256"
# The session behind a token is looked up on each request, so that a deactivated user's
# token, and one whose session was ended, stops working at once.
HEADLESS_JWT_STATEFUL_VALIDATION_ENABLED = True
HEADLESS_JWT_ACCESS_TOKEN_EXPIRES_IN = 15 * 60
HEADLESS_JWT_REFRESH_TOKEN_EXPIRES_IN = 30 * 24 * 3600

# Security

_HTTPS = SITE_URL.startswith("https://")
SESSION_COOKIE_SECURE = _HTTPS
CSRF_COOKIE_SECURE = _HTTPS
# The prefix makes browsers refuse the cookie from a subdomain or over plain http.
SESSION_COOKIE_NAME = "__Host-sessionid" if _HTTPS else "sessionid"
CSRF_COOKIE_NAME = "__Host-csrftoken" if _HTTPS else "csrftoken"
SECURE_SSL_REDIRECT = _HTTPS
# Health checks and metrics are asked for on the machine's own address.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if _HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = _HTTPS
SECURE_HSTS_PRELOAD = _HTTPS
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXY_COUNT else None
)
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "credits_project.problems.csrf_failure"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
    },
}
# Whose pages may call the API from a browser: nobody's, unless it is said. Never with
# cookies: pages of others send tokens.
CORS_ALLOWED_ORIGINS = env.origins("CORS_ALLOWED_ORIGINS")
CORS_URLS_REGEX = r"^/(api|_allauth)/"
CORS_ALLOW_HEADERS = (
    "accept",
    "authorization",
    "content-type",
    "idempotency-key",
    "x-request-id",
    "x-session-token",
)
CORS_EXPOSE_HEADERS = (
    "content-disposition",
    "idempotent-replayed",
    "retry-after",
    "www-authenticate",
    "x-request-id",
)
# 1 MB: no request of ours is larger, and a larger one is refused before it is read.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
FIELD_ENCRYPTION_KEY = env.secret("FIELD_ENCRYPTION_KEY", minimum_length=32)

# Language, time, files, mail

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True
FORMAT_MODULE_PATH = "credits_project.formats"
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
# Files are served out of the packages themselves where nothing was collected.
WHITENOISE_USE_FINDERS = True
vars().update(env.email("EMAIL_URL", default="consolemail://"))
DEFAULT_FROM_EMAIL = "Course Credits <no-reply@localhost>"
EMAIL_TIMEOUT = 10

# API

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "credits_project.authentication.AccessTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["credits_project.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "credits_project.openapi.schema.Schema",
    "DEFAULT_THROTTLE_CLASSES": [
        "credits_project.throttling.AnonThrottle",
        "credits_project.throttling.UserThrottle",
        "credits_project.throttling.MoneyThrottle",
    ],
    "DEFAULT_THROTTLE_RATES": {
        "anon": env.throttle("THROTTLE_ANON", default="60/min"),
        "user": env.throttle("THROTTLE_USER", default="600/min"),
        "money": env.throttle("THROTTLE_MONEY", default="30/min"),
    },
    "EXCEPTION_HANDLER": "credits_project.problems.exception_handler",
    "NUM_PROXIES": TRUSTED_PROXY_COUNT,
    # `?format=` is a parameter of the statement, not of content negotiation.
    "URL_FORMAT_OVERRIDE": None,
    "COERCE_DECIMAL_TO_STRING": True,
    "DATETIME_FORMAT": "iso-8601",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Course Credits",
    "DESCRIPTION": "Credits for a course marketplace: buy, spend, earn, withdraw.",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "credits_project.openapi.document.complete",
    ],
}

# Gateway

PAYCHANGU_MODE = env.choice("PAYCHANGU_MODE", ("test", "live"), default="test")
PAYCHANGU_BASE_URL = env.gateway_url(
    "PAYCHANGU_BASE_URL", default="https://api.paychangu.com", mode=PAYCHANGU_MODE
)
PAYCHANGU_SECRET_KEY = env.text("PAYCHANGU_SECRET_KEY", default="")
PAYCHANGU_WEBHOOK_SECRET = env.text("PAYCHANGU_WEBHOOK_SECRET", default="")
PAYCHANGU_WEBHOOK_SECRET_PREVIOUS = env.text(
    "PAYCHANGU_WEBHOOK_SECRET_PREVIOUS", default=""
)
PAYCHANGU_TIMEOUT_SECONDS = env.integer(
    "PAYCHANGU_TIMEOUT_SECONDS", default=30, minimum=1
)

# Marketplace. Rates are fractions: 0.10 is 10 %. Limits and caps are in credits; 0 is
# off.

COMMISSION_RATE = env.rate("COMMISSION_RATE", default="0")
REFUND_WINDOW_DAYS = env.integer("REFUND_WINDOW_DAYS", default=0, minimum=0)
USER_TRANSFERS_ENABLED = env.boolean("USER_TRANSFERS_ENABLED", default=False)

WITHDRAWAL_MINIMUM = env.amount("WITHDRAWAL_MINIMUM", default="0")
WITHDRAWAL_MAXIMUM = env.amount("WITHDRAWAL_MAXIMUM", default="0")
WITHDRAWAL_DAILY_CAP = env.amount("WITHDRAWAL_DAILY_CAP", default="0")
WITHDRAWAL_WEEKLY_CAP = env.amount("WITHDRAWAL_WEEKLY_CAP", default="0")
# Of all coaches together.
WITHDRAWAL_SYSTEM_DAILY_CAP = env.amount("WITHDRAWAL_SYSTEM_DAILY_CAP", default="0")
WITHDRAWAL_SYSTEM_WEEKLY_CAP = env.amount("WITHDRAWAL_SYSTEM_WEEKLY_CAP", default="0")
# How many withdrawals of one coach in 24 hours.
WITHDRAWAL_DAILY_COUNT = env.integer("WITHDRAWAL_DAILY_COUNT", default=0, minimum=0)
WITHDRAWAL_FEE_RATE = env.rate("WITHDRAWAL_FEE_RATE", default="0")
# In the payout's currency.
WITHDRAWAL_FEE_FLAT = env.amount("WITHDRAWAL_FEE_FLAT", default="0")
WITHDRAWAL_AUTO_APPROVE_BELOW = env.amount("WITHDRAWAL_AUTO_APPROVE_BELOW", default="0")
WITHDRAWAL_TWO_APPROVERS_ABOVE = env.amount(
    "WITHDRAWAL_TWO_APPROVERS_ABOVE", default="0"
)
# Credits that staff give or take by hand.
ADJUSTMENT_FOUR_EYES_ABOVE = env.amount("ADJUSTMENT_FOUR_EYES_ABOVE", default="1000")
# Who adds a payout method signed in no longer ago.
REAUTHENTICATION_MINUTES = env.integer(
    "REAUTHENTICATION_MINUTES", default=60, minimum=0
)
PAYOUT_COOLING_OFF_HOURS = env.integer(
    "PAYOUT_COOLING_OFF_HOURS", default=72, minimum=0
)
PAYOUT_AUTO_RESOLVE = env.boolean("PAYOUT_AUTO_RESOLVE", default=False)
# A worker that was stopped just before its call may still make it when it wakes: who
# takes "not known yet" for "never sent" at once would give back what is then paid.
PAYOUT_SETTLING_MINUTES = env.integer(
    "PAYOUT_SETTLING_MINUTES", default=60, minimum=1 if PAYOUT_AUTO_RESOLVE else 0
)

# Ledger's seals

LEDGER_SEAL_KEY = env.text("LEDGER_SEAL_KEY", default="")
LEDGER_SEAL_FILE = env.text("LEDGER_SEAL_FILE", default="")

# Running

PORT = env.integer("PORT", default=8000, minimum=1)
METRICS_TOKEN = env.text("METRICS_TOKEN", default="")
LOG_LEVEL = env.choice(
    "LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), default="INFO"
)
# Also with DEBUG, whose page shows every local variable.
DEFAULT_EXCEPTION_REPORTER = "credits_project.error_reports.Reporter"
PROCRASTINATE_ON_APP_READY = None
# The sweeps put a job into the queue every few seconds; the tables are the record.
PROCRASTINATE_WORKER_DEFAULTS = {"delete_jobs": "successful"}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "credits_project.logs.JsonFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "django": {"level": LOG_LEVEL, "handlers": [], "propagate": True},
        "procrastinate": {"level": "WARNING"},
    },
}

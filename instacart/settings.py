"""Django's settings, all of them from ``Env``."""

import os

from redis.backoff import NoBackoff
from redis.retry import Retry

from celery_app import conf as celery_conf
from instacart.env import ROOT, Env, django_database, mail_server

env = Env.read(os.environ)

SECRET_KEY = env.secret_key
FIELD_KEY = env.field_key
JWT_KEY = env.jwt_key
METRICS_TOKEN = env.metrics_token
REDIS_URL = env.redis_url
PUBLIC_URL = env.public_url
WEBSOCKET_URL = env.websocket_url
SITE_NAME = env.site_name
DEMO = env.demo
DEMO_PASSWORD = env.demo_password
DEMO_PAST_ORDERS = env.demo_past_orders
DEBUG = False
ALLOWED_HOSTS = list(env.allowed_hosts)
CSRF_TRUSTED_ORIGINS = [env.public_url]
ROOT_URLCONF = "instacart.urls"
WSGI_APPLICATION = "instacart.wsgi.application"
ASGI_APPLICATION = "instacart.asgi.application"

DATABASES = {alias: django_database(url) for alias, url in env.database_urls.items()}
DATABASE_ROUTERS = ["sharding.routers.ShardRouter"]
SHARDING = {
    "KEYSPACES": env.shard_map,
    "SPARES": env.spares,
    "REPLICAS": env.replicas,
    "MAP_FILE": env.var / "run" / "shard_map.json",
    "RETIRED": {"common.idempotencykey": "*"},
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "rest_framework",
    "graphene_django",
    "oauth2_provider",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_filters",
    "django_htmx",
    "channels",
    "instacart",
    "sharding",
    "apps.common",
    "apps.accounts",
    "apps.notifications",
    "apps.stores",
    "apps.catalog",
    "apps.inventory",
    "apps.slots",
    "apps.pricing",
    "apps.carts",
    "apps.ledger",
    "apps.payments",
    "apps.statements",
    "apps.orders",
    "apps.shoppers",
    "apps.fulfilment",
    "apps.dispatch",
    "apps.support",
    "apps.web",
    "apps.backoffice",
    "apps.simulation",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "apps.common.api.middleware.AnswerForDatabases",
    "apps.common.api.middleware.NudgeOnce",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "apps.web.context.site",
            ],
        },
    }
]

CACHES = {
    "default": {
        "BACKEND": "apps.common.cache.RestingCache",
        "LOCATION": env.redis_url,
        "OPTIONS": {
            "SOCKET_CONNECT_TIMEOUT": 0.25,
            "SOCKET_TIMEOUT": 0.25,
            "CONNECTION_POOL_KWARGS": {"retry": Retry(NoBackoff(), 0)},  # by itself redis-py tries for seconds
            "IGNORE_EXCEPTIONS": True,  # a cache that is away is an empty cache; sessions are in the database too
        },
    }
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        # It waits for messages five seconds at a time, as long as redis-py would wait for any answer.
        "CONFIG": {"hosts": [{"address": env.redis_url, "socket_timeout": 20}]},
    },
}
SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"
SESSION_COOKIE_AGE = 30 * 24 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = env.production
CSRF_COOKIE_SECURE = env.production
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if env.production:
    SECURE_SSL_REDIRECT = True
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
STATIC_URL = "/static/"
STATIC_ROOT = env.var / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": env.var / "media"}},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}

# Who may sign in, and how (apps.accounts).
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["apps.accounts.api.backends.EmailBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("email", "name")},
    },
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "/sign-in/"
LOGIN_REDIRECT_URL = "/stores/"
OAUTH2_PROVIDER = {
    "ACCESS_TOKEN_GENERATOR": "apps.accounts.api.jwt.access_token",
    "REFRESH_TOKEN_GENERATOR": "oauthlib.oauth2.rfc6749.tokens.random_token_generator",
    "OAUTH2_VALIDATOR_CLASS": "apps.accounts.api.oauth.ActiveUsersOnly",
    "SCOPES_BACKEND_CLASS": "apps.accounts.api.oauth.ClientScopes",
    "SCOPES": {"customer": "Shop, pay and follow orders", "shopper": "Take, pick and deliver batches"},
    "ACCESS_TOKEN_EXPIRE_SECONDS": 10 * 60,
    "AUTHORIZATION_CODE_EXPIRE_SECONDS": 60,
    "REFRESH_TOKEN_EXPIRE_SECONDS": 30 * 24 * 3600,
    "ROTATE_REFRESH_TOKEN": True,
    "REFRESH_TOKEN_REUSE_PROTECTION": True,  # an old refresh token sent again revokes its whole family
    "PKCE_REQUIRED": True,
    "ALLOWED_REDIRECT_URI_SCHEMES": ["https"] if env.production else ["https", "http"],
    "OIDC_ISS_ENDPOINT": env.public_url,
    # RFC 9700, all of it: no implicit or password grant, S256 only, tokens in headers only and stored as hashes.
    "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PASSWORD_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PKCE_METHOD": True,
    "COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT": True,
    "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True,
    "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True,
    "COMPLIANT_BCP_RFC9700_REFRESH_TOKEN": True,
    "COMPLIANT_BCP_RFC9700_REDIRECT_URI_SCHEME": True,
    "COMPLIANT_BCP_RFC9700_REDIRECT_URI_MATCHING": True,
    "COMPLIANT_BCP_RFC9700_PKCE_REQUIRED": True,
}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["apps.accounts.api.jwt.JWTAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["apps.accounts.api.jwt.HasScope"],
    "EXCEPTION_HANDLER": "apps.common.api.errors.handle",
    "DEFAULT_SCHEMA_CLASS": "apps.common.api.openapi.Schema",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
}
GREENS = {
    "50": 0.98, "100": 0.95, "200": 0.9, "300": 0.83, "400": 0.73, "500": 0.6,
    "600": 0.5, "700": 0.42, "800": 0.35, "900": 0.3, "950": 0.22,
}  # fmt: skip
UNFOLD = {
    "SITE_TITLE": f"{env.site_name} operations",
    "SITE_HEADER": env.site_name,
    "SITE_SYMBOL": "shopping_basket",
    "COLORS": {"primary": {step: f"oklch({lightness} .09 160)" for step, lightness in GREENS.items()}},
    "SIDEBAR": {
        "show_all_applications": True,
        "navigation": [
            {
                "title": "Orders",
                "items": [
                    {"title": "Find an order", "icon": "search", "link": "/admin/orders/"},
                    {"title": "Reports", "icon": "report", "link": "/admin/reports/"},
                    {"title": "Closed stores", "icon": "event_busy", "link": "/admin/withdrawn/"},
                    {"title": "Receipts that differ", "icon": "receipt_long", "link": "/admin/receipts/"},
                    {"title": "Shoppers", "icon": "badge", "link": "/admin/shoppers/"},
                    {"title": "Dispatch", "icon": "map", "link": "/admin/zones/"},
                    {"title": "Stores", "icon": "store", "link": "/admin/stores/store/"},
                    {"title": "Window plans", "icon": "calendar_month", "link": "/admin/slots/windowplan/"},
                ],
            },
            {
                "title": "Money",
                "items": [
                    {"title": "Payments", "icon": "credit_card", "link": "/admin/payments/payment/"},
                    {"title": "Refunds", "icon": "undo", "link": "/admin/payments/refund/"},
                    {"title": "Disputes", "icon": "gavel", "link": "/admin/payments/dispute/"},
                    {"title": "Statements", "icon": "receipt_long", "link": "/admin/statements/"},
                    {"title": "Transfers", "icon": "send_money", "link": "/admin/payments/transfer/"},
                    {"title": "Payouts", "icon": "account_balance", "link": "/admin/payments/payout/"},
                    {"title": "Ledger", "icon": "menu_book", "link": "/admin/ledger/ledgerentry/"},
                ],
            },
            {
                "title": "Operations",
                "items": [
                    {"title": "Letters", "icon": "mail", "link": "/admin/notifications/notification/"},
                    {"title": "Databases", "icon": "database", "link": "/admin/sharding/mapversion/overview/"},
                ],
            },
        ],
    },
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Shopper API",
    "DESCRIPTION": "What a shopper's app does: be there, take offers, pick, deliver. Refusals are problem+json "
    "(RFC 9457) with a stable `code`; ids are strings. Every write may be sent again, and takes an `Idempotency-Key`: "
    "then the second call gets the first one's answer, with `Idempotent-Replayed: true`.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",  # from a package of ours, not from somebody's network
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "apps.common.api.openapi.with_problems",
    ],
    "ENUM_NAME_OVERRIDES": {
        "LineStatus": ["not_picked", "found", "replaced", "to_refund"],
        "ReplacementStatus": ["proposed", "approved", "auto_approved", "rejected", "withdrawn"],
        "LineOutcome": ["found", "to_refund"],
        "OrderStatus": ["waiting", "assigned", "picking", "checkout", "delivering", "delivered", "canceled"],
        "BatchStatus": ["acknowledged", "picking"],
    },
}

# Letters to customers (apps.notifications)
_mail = mail_server(env.email_url)
EMAIL_BACKEND = _mail.backend
EMAIL_HOST, EMAIL_PORT = _mail.host, _mail.port
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _mail.user, _mail.password
EMAIL_USE_SSL, EMAIL_USE_TLS = _mail.is_tls_at_once, _mail.is_tls_asked_for
EMAIL_FROM = env.email_from
EMAIL_FOLDER = env.var / "mail"  # of letters that are not sent but shown
EMAIL_TIMEOUT = 10  # seconds the mail server is waited for, each time

# Payments
PAYMENT_GATEWAY = "apps.payments.stripe_gateway.StripeGateway"
STRIPE_SECRET_KEY = env.stripe_secret_key
STRIPE_PUBLISHABLE_KEY = env.stripe_publishable_key
STRIPE_WEBHOOK_SECRETS = tuple(filter(None, env.stripe_webhook_secret.split(",")))  # several while one is replaced
STRIPE_API_BASE = env.stripe_api_base
STRIPE_TIMEOUT_SECONDS = 2.0  # while somebody waits for a page
STRIPE_WORKER_TIMEOUT_SECONDS = 10.0
PAYMENT_HOLD_DAYS = 31 if env.demo else 4  # earlier a card is only checked; shoppers of the demo do not wait for days
STORE_COMMISSION_BASIS_POINTS = 1_500  # the marketplace's part of what items cost: 15 %

# How long a shopper may think about an offer, how long a zone's planner may search for better trips each turn, and how
# early work on a delivery window may begin (apps.dispatch).
DISPATCH_OFFER_SECONDS = 60
DISPATCH_PLAN_SECONDS = 0.05
DISPATCH_EARLY_MINUTES = 8 * 24 * 60 if env.demo else 15  # nobody who tries the demo waits for tomorrow's window

# How long a shopper works who goes online without saying so (apps.shoppers).
SHOPPER_SHIFT_HOURS = 8

# What a batch pays more where shoppers are short: cents for each step of the signal, and at most (0: no peak pay).
DISPATCH_PEAK_STEP_CENTS = 100
DISPATCH_PEAK_MOST_CENTS = 500

# Travel times (apps.dispatch.travel): roads, valhalla, osrm or google. Planners never wait for a road server.
TRAVEL_TIMES = env.travel_times
TRAVEL_URL = env.travel_url
TRAVEL_KEY = env.travel_key
TRAVEL_CONNECT_SECONDS = 1.0
TRAVEL_READ_SECONDS = 5.0
TRAVEL_FILL_SECONDS = 10.0  # one task, all of its requests
TRAVEL_FILL_PAIRS = 10_000  # one task; Google counts and charges every pair
TRAVEL_KEEP_SECONDS = 3600

OUTBOX_NUDGE = True

# How old what a process remembers of stores, fees and tax rates may be (apps.common.remembered).
REFERENCE_SECONDS = 2.0
CELERY = celery_conf.settings(broker_url=env.redis_url)

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {
        **{name: {"level": "WARNING"} for name in ("httpx", "stripe")},  # at INFO they write every address they call
        "django.request": {"level": "ERROR"},  # refusals are in the web server's log already
    },
    "root": {"handlers": ["console"], "level": env.log_level},
}

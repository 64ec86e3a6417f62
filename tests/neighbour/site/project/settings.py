"""A Django project as a team may have it: the neighbour on our database."""

import os
from urllib.parse import unquote, urlsplit

import django

# Else one Django could pass for another's test.
if django.get_version() != os.environ["NEIGHBOUR_DJANGO"]:
    raise RuntimeError(
        f"this Python has Django {django.get_version()}, and tests/neighbour/requirements*.txt"
        f" names {os.environ['NEIGHBOUR_DJANGO']}: use .ci/run neighbour, which installs it"
    )

SECRET_KEY = os.environ["NEIGHBOUR_SECRET_KEY"]
SECRET_KEY_FALLBACKS = [k for k in os.environ.get("NEIGHBOUR_FALLBACKS", "").split(",") if k]
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "project.urls"
AUTH_USER_MODEL = "accounts.CustomUser"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
STATIC_URL = "static/"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "rest_framework",
    "rest_framework.authtoken",
    "accounts",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
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
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ]
}
# Cheap, so that thousands can be made; the first is what Django upgrades to.
PASSWORD_HASHERS = [
    "project.hashers.Pbkdf2",
    "project.hashers.Pbkdf2Sha1",
    "project.hashers.Argon2",
    "project.hashers.BcryptSha256",
    "project.hashers.Bcrypt",
    "project.hashers.Scrypt",
]
_first = "project.hashers." + os.environ.get("NEIGHBOUR_HASHER", "Pbkdf2")
PASSWORD_HASHERS.sort(key=lambda name: name != _first)

_url = urlsplit(os.environ["NEIGHBOUR_DATABASE"])
if _url.scheme == "sqlite":
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": _url.netloc + _url.path,
            "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
        }
    }
else:
    _options = dict(part.split("=", 1) for part in _url.query.split("&"))
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": _url.path.lstrip("/"),
            "USER": _url.username or "",
            "PASSWORD": unquote(_url.password or ""),
            "HOST": _url.hostname or "",
            "PORT": _url.port or "",
            "OPTIONS": {"options": unquote(_options["options"])},
        }
    }

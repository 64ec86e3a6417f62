"""Django with whichever user model USER_MODEL names: one of users/models/, or `stock`."""

from os import environ
from urllib.parse import unquote, urlsplit

SECRET_KEY = environ["NEIGHBOUR_SECRET_KEY"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "rest_framework",
    "rest_framework.authtoken",
]
if environ["USER_MODEL"] != "stock":
    INSTALLED_APPS.append("users")
    AUTH_USER_MODEL = "users.User"
    # Written by makemigrations, in a folder of the test's own.
    MIGRATION_MODULES = {"users": "made"}
INSTALLED_APPS = [app for app in INSTALLED_APPS if app not in environ.get("WITHOUT", "").split()]
AUTHENTICATION_BACKENDS = environ.get(
    "BACKENDS", "django.contrib.auth.backends.ModelBackend"
).split()

# Cheap; the first is what Django upgrades to.
PASSWORD_HASHERS = [
    "hashers.Pbkdf2",
    "hashers.Pbkdf2Sha1",
    "hashers.Argon2",
    "hashers.BcryptSha256",
    "hashers.Bcrypt",
    "hashers.Scrypt",
    "django.contrib.auth.hashers.MD5PasswordHasher",
]

_url = urlsplit(environ["NEIGHBOUR_DATABASE"])
if _url.scheme == "sqlite":
    _database = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": _url.netloc + _url.path,
        "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
    }
else:
    _options = dict(part.split("=", 1) for part in _url.query.split("&"))
    _database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _url.path.lstrip("/"),
        "USER": _url.username or "",
        "PASSWORD": unquote(_url.password or ""),
        "HOST": _url.hostname or "",
        "PORT": _url.port or "",
        "OPTIONS": {"options": unquote(_options["options"])},
    }
DATABASES = {"default": _database}

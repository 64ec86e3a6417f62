"""Settings of the reference app, whose answers tests/conformance has: as Django's
startproject writes them, at less work."""

from project.settings import *

ALLOWED_HOSTS = ["*"]
CSRF_TRUSTED_ORIGINS = os.environ["NEIGHBOUR_TRUSTED_ORIGINS"].split(",")
ROOT_URLCONF = "project.reference_urls"
TIME_ZONE = "UTC"
INSTALLED_APPS += ["django.contrib.staticfiles"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    *MIDDLEWARE,
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
# Django's own, but that the first has the work factor of the recorded rows.
PASSWORD_HASHERS = [
    "project.hashers.ReferencePbkdf2",
    "django.contrib.auth.hashers.PBKDF2SHA1PasswordHasher",
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.BCryptSHA256PasswordHasher",
    "django.contrib.auth.hashers.ScryptPasswordHasher",
]

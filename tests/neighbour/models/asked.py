"""A Django that does what it is asked: a line of JSON in, [function, arguments], and a
line of JSON out. One process for many questions, as each start takes a second."""

import importlib
import json
import os
import pathlib
import sys
import traceback

answers, sys.stdout = sys.stdout, sys.stderr
sys.path.insert(0, os.environ["NEIGHBOUR_FOLDER"])
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"

import django

django.setup()

from django.apps import apps
from django.contrib.auth import authenticate, get_user, get_user_model, login
from django.core.management import call_command
from django.http import HttpRequest

User = get_user_model()


def migrate():
    if apps.is_installed("users"):
        made = pathlib.Path(os.environ["NEIGHBOUR_FOLDER"], "made")
        made.mkdir(exist_ok=True)
        (made / "__init__.py").touch()
        call_command("makemigrations", "users", verbosity=0)
        importlib.invalidate_caches()
    call_command("migrate", verbosity=0)


def make(name, password, fields):
    fields = {User.USERNAME_FIELD: name, "password": password} | fields
    pk = User._default_manager.create_user(**fields).pk
    return pk if isinstance(pk, int) else str(pk)


def set_password(name, password):
    user = User._default_manager.get_by_natural_key(name)
    user.set_password(password)
    user.save()


def request(session=None):
    from django.contrib.sessions.backends.db import SessionStore

    made = HttpRequest()
    made.session = SessionStore(session)
    return made


def log_in(name, password):
    from rest_framework.authtoken.models import Token

    made = request()
    user = authenticate(made, username=name, password=password)
    if user is None:
        return None
    login(made, user)
    made.session.save()
    token, _ = Token.objects.get_or_create(user=user)
    return [token.key, made.session.session_key]


def by_session(key):
    user = get_user(request(key))
    return user.get_username() if user.is_authenticated else None


def by_token(key):
    from rest_framework.authentication import TokenAuthentication
    from rest_framework.exceptions import AuthenticationFailed

    try:
        user, _ = TokenAuthentication().authenticate_credentials(key)
    except AuthenticationFailed:
        return None
    return user.get_username()


def run(code):
    names = {"User": User, "answer": None}
    exec(code, names)
    return names["answer"]


for line in sys.stdin:
    function, arguments = json.loads(line)
    try:
        answer = [globals()[function](*arguments), None]
    except Exception:
        answer = [None, traceback.format_exc()]
    print(json.dumps(answer), file=answers, flush=True)

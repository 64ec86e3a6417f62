#!/usr/bin/env python3
"""Asks a real Django about password hashes, for src/password/tests.rs, and writes
hashes-<its version>.json:

    target/neighbour-venv-6.1/bin/python crates/django-auth/tests/vectors/make_hashes.py

(`.ci/run neighbour` makes that Python.) "made" are hashes as it makes them, at its own
work factors. "again" are those of django.json, which 5.2 was asked about: "verifies" is
missing where Django raises. "must_update" says of each preferred hasher, with its cost,
whether Django would hash anew after a login; null where it raises.
"""

import json
import pathlib
from copy import copy

import django
from django.conf import settings

NAMES = ["PBKDF2", "PBKDF2SHA1", "Argon2", "BCryptSHA256", "BCrypt", "Scrypt"]
settings.configure(
    PASSWORD_HASHERS=[f"django.contrib.auth.hashers.{name}PasswordHasher" for name in NAMES]
)
django.setup()

from django.contrib.auth import hashers  # noqa: E402

HERE = pathlib.Path(__file__).parent
# The longest that plain bcrypt takes, whose last two bytes are one character.
PASSWORDS = ["correct horse", "pässwörd \N{KEY}", "x" * 70 + "é"]
ITERATIONS = hashers.PBKDF2PasswordHasher.iterations


def preferred(algorithm, cost):
    """A hasher of that cost."""
    # get_hasher gives one object to everybody.
    hasher = copy(hashers.get_hasher(algorithm))
    if algorithm.startswith("pbkdf2"):
        hasher.iterations = cost
    elif algorithm == "argon2":
        hasher.time_cost = cost
    elif algorithm == "scrypt":
        hasher.work_factor = 2**cost
    else:
        hasher.rounds = cost
    return hasher


PREFERRED = [
    ("pbkdf2_sha256", ITERATIONS), ("pbkdf2_sha256", 1_000_000), ("pbkdf2_sha256", 5),
    ("pbkdf2_sha1", ITERATIONS), ("argon2", 2), ("argon2", 3), ("bcrypt_sha256", 12),
    ("bcrypt_sha256", 4), ("bcrypt", 12), ("bcrypt", 4), ("scrypt", 14), ("scrypt", 13),
]


def must_update(encoded):
    def ask(hasher):
        if not hashers.is_password_usable(encoded):
            return False
        try:
            theirs = hashers.identify_hasher(encoded)
        except ValueError:
            return False
        if theirs.algorithm != hasher.algorithm:
            return True
        try:
            return hasher.must_update(encoded)
        except Exception:
            return None

    return [[*key, ask(preferred(*key))] for key in PREFERRED]


def row(encoded, password):
    out = {"encoded": encoded}
    if password is not None:
        out["password"] = password
        try:
            out["verifies"] = hashers.check_password(password, encoded)
        except Exception:
            pass
    return out | {"must_update": must_update(encoded)}


def main():
    made = [
        row(hashers.make_password(password, hasher=hasher), password)
        for hasher in hashers.get_hashers()
        for password in PASSWORDS
    ]
    known = json.loads((HERE / "django.json").read_text())
    again = [
        row(r["encoded"], r.get("password"))
        for name in ("passwords", "more_passwords", "must_update")
        for r in known[name]
    ]
    lines = lambda rows: ",\n".join(json.dumps(r, ensure_ascii=False) for r in rows)  # noqa: E731
    version = ".".join(map(str, django.VERSION[:2]))
    (HERE / f"hashes-{version}.json").write_text(
        f'{{"django": "{django.get_version()}", "iterations": {ITERATIONS}, "made": [\n'
        + lines(made) + '\n], "again": [\n' + lines(again) + "\n]}\n"
    )


main()

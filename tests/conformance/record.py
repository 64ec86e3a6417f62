"""Sends the reference's requests to a real Django, and writes down its answers.

    <a Python with that Django> record.py <folder of the Django reference> <file>
        [--postgres <port>]

The Python needs Django, djangorestframework, gunicorn, psycopg, argon2-cffi and
bcrypt. The answers are of SQLite and, with --postgres, also of the server on that
port of 127.0.0.1, which must let `postgres` in without a password. make_cases.py
reads the file. Takes some minutes, because the work factors are Django's own.
"""
import argparse
import json
import os
import socket
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

sys.dont_write_bytecode = True

arguments = argparse.ArgumentParser()
arguments.add_argument("reference", type=Path)
arguments.add_argument("file", type=Path)
arguments.add_argument("--postgres", type=int, metavar="PORT")
arguments = arguments.parse_args()

# Before the reference is imported, which reads it.
state = tempfile.TemporaryDirectory()
os.environ["REF_STATE"] = state.name
sys.path.insert(0, str(arguments.reference.resolve()))

import capture  # noqa: E402
import djspec  # noqa: E402
import lab  # noqa: E402
from django.contrib.auth.hashers import PBKDF2PasswordHasher  # noqa: E402

# What the reference takes for Django's work factor, and this Django's own.
THEN, NOW = 1_000_000, PBKDF2PasswordHasher.iterations
pbkdf2 = djspec.pbkdf2


def todays_pbkdf2(password, salt, iterations=THEN, digest="sha256"):
    return pbkdf2(password, salt, iterations * NOW // THEN, digest)


# Else every login would be an upgrade of the hash, and nothing else be seen.
djspec.pbkdf2 = todays_pbkdf2


class Postgres(lab.Db):
    """A database of our own on a server that others may use."""

    NAME = f"portcullis_record_{os.getpid()}"

    def __init__(self):
        self.kind = "postgres"
        self.con = connect(self.NAME)


def connect(database):
    import psycopg

    return psycopg.connect(host="127.0.0.1", port=arguments.postgres, user="postgres",
                           dbname=database, autocommit=True)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def record(kind, make_db):
    lab.manage("migrate", "-v0", REF_DB=kind)
    server = lab.Server(port=free_port(), log=f"{kind}.log", REF_DB=kind, REF_LOG=1,
                        REF_CSRF_TRUSTED_ORIGINS=capture.TRUSTED)
    try:
        run = capture.Lab(make_db(), server)
        capture.cases(run)
    finally:
        server.stop()
    return run.results


def record_postgres():
    os.environ["REF_PG_PORT"] = str(arguments.postgres)
    os.environ["REF_PG_NAME"] = Postgres.NAME
    with connect("postgres") as server:
        server.execute(f"CREATE DATABASE {Postgres.NAME}")
        try:
            return record("postgres", Postgres)
        finally:
            server.execute(f"DROP DATABASE {Postgres.NAME} WITH (FORCE)")


def main():
    recorded = {
        "packages": {
            name: version(name) for name in ("Django", "djangorestframework", "gunicorn")
        },
        "python": sys.version.split()[0],
        "iterations": NOW,
        "sqlite": record("sqlite", lambda: lab.Db("sqlite")),
    }
    if arguments.postgres:
        recorded["postgres"] = record_postgres()
    arguments.file.write_text(json.dumps(recorded, indent=1))
    print(f"{len(recorded['sqlite'])} requests to {recorded['packages']}: {arguments.file}")


main()

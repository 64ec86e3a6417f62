"""A table in another schema of PostgreSQL, in the way that projects write that."""

from os import environ

from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    class Meta:
        db_table = '{}"."staff'.format(environ["OTHER_SCHEMA"])

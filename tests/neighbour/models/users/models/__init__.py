"""The one user model of this run."""

from importlib import import_module
from os import environ

User = import_module(f"users.models.{environ['USER_MODEL']}").User

"""As cookiecutter-django makes it where people log in with their address."""

from django.contrib.auth.models import AbstractUser
from django.db import models

from users.manager import Manager


class User(AbstractUser):
    name = models.CharField(max_length=255, blank=True)
    first_name = None
    last_name = None
    email = models.EmailField(unique=True)
    username = None

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = []

    objects = Manager()

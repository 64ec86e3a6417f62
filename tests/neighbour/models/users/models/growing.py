"""Before and after a migration that gives two columns another type."""

from os import environ

from django.contrib.auth.models import AbstractUser
from django.db import models

Key, length = (models.BigAutoField, 254) if "GROWN" in environ else (models.AutoField, 75)


class User(AbstractUser):
    id = Key(primary_key=True)
    email = models.EmailField(max_length=length, blank=True)

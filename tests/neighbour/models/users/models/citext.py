"""Names that differ by case only are one, by PostgreSQL's citext, as Django's own field
was before 5.1."""

from django.contrib.auth.models import AbstractUser
from django.db import models


class CITextField(models.TextField):
    def db_type(self, connection):
        return "citext"


class User(AbstractUser):
    username = CITextField(unique=True)
    email = CITextField(blank=True)

"""Columns of the project's own that must have a value."""

from django.contrib.auth.models import AbstractUser, Group
from django.db import models


class User(AbstractUser):
    shoe_size = models.PositiveSmallIntegerField()
    born = models.DateField()
    settings = models.JSONField()
    team = models.ForeignKey(Group, on_delete=models.PROTECT, related_name="members")

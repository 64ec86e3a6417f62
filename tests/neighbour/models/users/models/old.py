"""`auth_user` as Django 1.4 made it."""

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone


class User(AbstractUser):
    id = models.AutoField(primary_key=True)
    username = models.CharField(max_length=30, unique=True)
    first_name = models.CharField(max_length=30, blank=True)
    last_name = models.CharField(max_length=30, blank=True)
    email = models.EmailField(max_length=75, blank=True)
    last_login = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "auth_user"

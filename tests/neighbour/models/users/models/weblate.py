"""Weblate's."""

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models
from django.db.models.functions import Upper
from django.utils import timezone

from users.manager import Manager


class User(AbstractBaseUser):
    username = models.CharField(max_length=150, unique=True)
    full_name = models.CharField(max_length=150)
    email = models.EmailField(null=True, max_length=190, unique=True)
    is_superuser = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    is_bot = models.BooleanField(default=False, db_index=True)
    date_expires = models.DateTimeField(null=True, blank=True, default=None)
    date_joined = models.DateTimeField(default=timezone.now)

    objects = Manager()

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = ["email", "full_name"]

    class Meta:
        db_table = "weblate_auth_user"
        constraints = [
            models.UniqueConstraint(Upper("username"), name="weblate_auth_user_username_ci"),
            models.UniqueConstraint(Upper("email"), name="weblate_auth_user_email_ci"),
        ]

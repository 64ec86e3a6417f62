"""Saleor's."""

import uuid

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.utils import timezone
from django.utils.crypto import get_random_string

from users.manager import Manager


def random_key():
    return get_random_string(12)


class User(PermissionsMixin, AbstractBaseUser):
    email = models.EmailField(unique=True)
    first_name = models.CharField(max_length=256, blank=True)
    last_name = models.CharField(max_length=256, blank=True)
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    is_confirmed = models.BooleanField(default=True)
    note = models.TextField(null=True, blank=True)
    date_joined = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True, db_index=True)
    last_password_reset_request = models.DateTimeField(null=True)
    avatar = models.CharField(max_length=100, null=True)
    jwt_token_key = models.CharField(max_length=12, default=random_key)
    language_code = models.CharField(max_length=35, default="en")
    search_document = models.TextField(blank=True, default="")
    uuid = models.UUIDField(default=uuid.uuid4, unique=True)
    external_reference = models.CharField(max_length=250, unique=True, null=True)
    metadata = models.JSONField(null=True, default=dict)
    private_metadata = models.JSONField(null=True, default=dict)

    objects = Manager()

    USERNAME_FIELD = "email"

    class Meta:
        db_table = "account_user"

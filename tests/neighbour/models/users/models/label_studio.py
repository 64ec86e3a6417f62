"""Label Studio's: an address to log in with, beside a user name that is not unique, and
a manager that hides deleted users."""

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.utils import timezone

from users.manager import Manager


class Visible(Manager):
    def get_queryset(self):
        return super().get_queryset().filter(is_deleted=False)


class User(AbstractBaseUser, PermissionsMixin):
    username = models.CharField(max_length=256)
    email = models.EmailField(unique=True, blank=True)
    first_name = models.CharField(max_length=256, blank=True)
    last_name = models.CharField(max_length=256, blank=True)
    phone = models.CharField(max_length=256, blank=True)
    avatar = models.CharField(max_length=100, blank=True)
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    is_deleted = models.BooleanField(default=False, db_index=True)
    date_joined = models.DateTimeField(default=timezone.now)
    activity_at = models.DateTimeField(auto_now=True)
    last_activity = models.DateTimeField(default=timezone.now)
    allow_newsletters = models.BooleanField(null=True, default=None)

    objects = Visible()
    with_deleted = Manager()

    USERNAME_FIELD = "email"

    class Meta:
        db_table = "htx_user"

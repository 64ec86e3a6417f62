"""A table that was there before Django, where nearly everything may be NULL."""

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models

from users.manager import Manager


class User(AbstractBaseUser):
    id = models.IntegerField(primary_key=True)
    password = models.CharField(max_length=128, null=True)
    username = models.CharField(max_length=40, null=True, unique=True)
    first_name = models.CharField(max_length=40, null=True)
    last_name = models.CharField(max_length=40, null=True)
    email = models.EmailField(null=True)
    is_active = models.BooleanField(null=True)
    is_staff = models.BooleanField(null=True)
    date_joined = models.DateTimeField(null=True)

    USERNAME_FIELD = "username"

    objects = Manager()

    class Meta:
        db_table = "KUNDEN"

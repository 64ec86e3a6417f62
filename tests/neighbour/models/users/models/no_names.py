"""The least that Django takes: `AbstractBaseUser` and a name to log in with."""

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models

from users.manager import Manager


class User(AbstractBaseUser):
    login = models.CharField(max_length=40, unique=True, db_column="Login Name")

    USERNAME_FIELD = "login"

    objects = Manager()

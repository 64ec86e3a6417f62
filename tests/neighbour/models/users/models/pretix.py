"""pretix's: sessions that end with a change of the address, too, or on demand."""

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.utils.crypto import get_random_string, salted_hmac

from users.manager import Manager


def random_token():
    return get_random_string(32)


class User(AbstractBaseUser, PermissionsMixin):
    email = models.EmailField(unique=True, null=True, blank=True, max_length=190)
    fullname = models.CharField(max_length=255, blank=True, null=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    date_joined = models.DateTimeField(auto_now_add=True)
    locale = models.CharField(max_length=50, default="en")
    timezone = models.CharField(max_length=100, default="UTC")
    require_2fa = models.BooleanField(default=False)
    notifications_send = models.BooleanField(default=True)
    notifications_token = models.CharField(max_length=255, default=random_token)
    auth_backend = models.CharField(max_length=255, default="native")
    session_token = models.CharField(max_length=32, default=random_token)

    objects = Manager()

    USERNAME_FIELD = "email"

    class Meta:
        db_table = "pretixbase_user"

    @property
    def is_superuser(self):
        return False

    def get_session_auth_hash(self):
        salt = "pretix.base.models.User.get_session_auth_hash"
        return salted_hmac(salt, self.password + self.email + self.session_token).hexdigest()

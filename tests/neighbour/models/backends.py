from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend


class ByAddress(ModelBackend):
    """Takes the address for the name, as allauth's backend does."""

    def authenticate(self, request, username=None, password=None, **kwargs):
        user = get_user_model().objects.filter(email=username).first()
        return user if user and user.check_password(password) else None

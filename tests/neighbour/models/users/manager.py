from django.contrib.auth.base_user import BaseUserManager


class Manager(BaseUserManager):
    """What a project writes that has no user names: Django's own wants one."""

    def create_user(self, password=None, **fields):
        user = self.model(**fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

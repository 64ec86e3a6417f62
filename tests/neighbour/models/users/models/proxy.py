from django.contrib.auth.models import AbstractUser


class Person(AbstractUser):
    pass


class User(Person):
    class Meta:
        proxy = True

from django.urls import path
from rest_framework.authtoken.views import obtain_auth_token

from accounts import reference

urlpatterns = [
    path("api/v1/login/", reference.LoginView.as_view()),
    path("api/v1/logout/", reference.LogoutView.as_view()),
    path("api/v1/user/", reference.UserView.as_view()),
    path("login/", reference.LoginView.as_view()),
    path("logout/", reference.LogoutView.as_view()),
    path("api-token-auth/", obtain_auth_token),
    # What another base class would change.
    path("variant/generic/login/", reference.GenericLoginView.as_view()),
]

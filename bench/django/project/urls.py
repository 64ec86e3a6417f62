from django.urls import path

from accounts import views

urlpatterns = [
    path("api/v1/login/", views.LoginView.as_view()),
    path("api/v1/user/", views.UserView.as_view()),
]

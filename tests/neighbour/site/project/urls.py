from django.contrib import admin
from django.urls import path

from accounts import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/v1/login/", views.LoginView.as_view()),
    path("api/v1/logout/", views.LogoutView.as_view()),
    path("api/v1/user/", views.UserView.as_view()),
]

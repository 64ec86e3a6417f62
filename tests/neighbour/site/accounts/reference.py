"""The views whose answers tests/conformance has, defects and all."""

from django.contrib.auth import login, logout
from rest_framework import generics, serializers
from rest_framework.authtoken.models import Token
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from .models import CustomUser


class UserSerializer(serializers.ModelSerializer):
    class Meta:
        model = CustomUser
        fields = ["id", "username", "email", "first_name", "last_name"]


class LoginView(APIView):
    serializer_class = UserSerializer

    def post(self, request):
        username, password = (request.data.get(key) for key in ("username", "password"))
        user = CustomUser.objects.filter(username=username).first()
        if user and user.check_password(password):
            login(request, user)
            token = Token.objects.create(user=user)
            return Response({"message": "user logged in", "token": token.key})
        return Response({"error": "Invalid credentials"}, status=400)


class GenericLoginView(LoginView, generics.GenericAPIView):
    queryset = CustomUser.objects.all()


class LogoutView(APIView):
    permission_classes = [IsAuthenticated]

    def post(self, request):
        request.user.auth_token.delete()
        logout(request)
        return Response({"message": "Logged out successfully"})


class UserView(APIView):
    permission_classes = [IsAuthenticated]

    def get(self, request):
        return Response(UserSerializer(request.user).data)

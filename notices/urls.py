"""Addresses of notices."""

from django.urls import path

from notices import views

app_name = "notices"

urlpatterns = [
    path("", views.preferences, name="preferences"),
    path("channels/", views.routes, name="routes"),
    path("log/", views.log, name="log"),
    path("log/<int:pk>/retry/", views.retry, name="retry"),
]

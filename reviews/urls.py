"""Addresses of reviews."""

from django.urls import path

from reviews import views

app_name = "reviews"

urlpatterns = [
    path("", views.campaigns, name="campaigns"),
    path("new/", views.new, name="new"),
    path("<int:pk>/", views.campaign, name="campaign"),
    path("<int:pk>/decide/", views.decide, name="decide"),
    path("<int:pk>/close/", views.close, name="close"),
    path("<int:pk>/evidence.csv", views.export, {"form": "csv"}, name="csv"),
    path("<int:pk>/evidence.json", views.export, {"form": "json"}, name="json"),
]

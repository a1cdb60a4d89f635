"""Addresses of requests, decisions, grants."""

from django.urls import path

from provisioning import views

app_name = "provisioning"

urlpatterns = [
    path("access/", views.my_access, name="access"),
    path("offers/", views.offers, name="offers"),
    path("offers/<int:pk>/request/", views.ask, name="ask"),
    path("approvals/", views.approvals, name="approvals"),
    path("requests/<str:code>/", views.request_page, name="request"),
    path("requests/<str:code>/decide/", views.decide, name="decide"),
    path("requests/<str:code>/cancel/", views.cancel, name="cancel"),
    path("requests/<str:code>/revoke/", views.revoke, name="revoke"),
    path("requests/<str:code>/switch-role/", views.switch_role, name="switch"),
    path("grants/", views.grants, name="grants"),
    path("audit/", views.audit_log, name="audit"),
    path("accounts/<str:account_id>/check/", views.check_connection, name="check"),
]

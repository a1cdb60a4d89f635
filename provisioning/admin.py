"""Django's admin for requests, decisions and grants: to read, never to write."""

from django.contrib import admin

from audit.admin import ReadOnlyAdmin
from provisioning.models import AccessRequest, Decision, Grant


@admin.register(AccessRequest)
class AccessRequestAdmin(ReadOnlyAdmin):
    """Requests, newest first."""

    list_display = ("code", "requester", "offer", "duration", "state", "asked_at")
    list_filter = ("state",)
    list_select_related = (
        "requester",
        "offer__profile",
        "offer__pair__source",
        "offer__pair__target",
    )
    search_fields = ("code", "requester__username")


@admin.register(Decision)
class DecisionAdmin(ReadOnlyAdmin):
    """Decisions."""

    list_display = ("request", "verdict", "approver", "decided_at")
    list_filter = ("verdict",)
    list_select_related = ("request", "approver")
    search_fields = ("request__code", "approver__username")


@admin.register(Grant)
class GrantAdmin(ReadOnlyAdmin):
    """Grants, newest first."""

    list_display = ("code", "identity", "phase", "starts_at", "ends_at", "revoked_at")
    list_filter = ("phase",)
    list_select_related = ("identity__account",)
    search_fields = ("code", "identity__user_name")

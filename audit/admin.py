"""Django's admin for events: to read, never to write."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from audit.models import AuditEvent


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Not subscriptable at run time.
    """Shows rows to those who read everything. Nobody adds, changes or deletes, nor do superusers.

    What may change goes through services, which check and write events. Django's own permissions
    count for nothing here.
    """

    actions = None
    view_on_site = False

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Admins and auditors."""
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Admins and auditors."""
        return bool(getattr(request.user, "sees_everything", False))

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    """Events, newest first."""

    list_display = ("at", "kind", "actor", "subject", "sentence")
    search_fields = ("kind", "actor", "subject", "sentence")
    show_full_result_count = False

"""The sandbox as a Django app: installed only when `settings.SANDBOX` is on."""

from django.apps import AppConfig


class SandboxConfig(AppConfig):
    """Brings the `demo` and `seed_sandbox` commands and the local console's pages."""

    name = "sandbox"

"""The Celery app. Tasks live in `provisioning.tasks`."""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

app = Celery("sallyport")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["provisioning"])


@worker_init.connect
def answer_pings_only(**kwargs: Any) -> None:
    """Forget all of Celery's remote commands but the one that a health check sends.

    Whoever writes to the broker could otherwise stop workers, take their queue away, or have them
    tell all settings. It is trusted with nothing (docs/threat-model.md).
    """
    # Only a worker needs it, and it takes a moment to load.
    from celery.worker.control import Panel

    for name in set(Panel.data) - {"ping"}:
        del Panel.data[name]

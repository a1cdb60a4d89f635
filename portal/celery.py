"""The Celery app. Tasks live in `provisioning.tasks`."""

import os
from typing import Any

from celery import Celery, Task, states
from celery.signals import task_postrun, task_prerun, worker_init
from django.db import close_old_connections, connections

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


# Celery would open a connection to the database for each task (CELERY_DB_REUSE_MAX in the settings
# keeps it from that), and a new one knows no statement and no table yet. So they are kept from task
# to task, as Django keeps them from request to request (docs/adr/0035).


@task_prerun.connect
def check_connection(task: "Task[Any, Any]", **kwargs: Any) -> None:
    """Have Django ask the connection at its first use whether it still works, or give it up."""
    if not task.request.is_eager:
        close_old_connections()


@task_postrun.connect
def keep_connection(task: "Task[Any, Any]", state: str | None = None, **kwargs: Any) -> None:
    """Keep what a task has used; not after one that failed: a time limit may have cut it short in
    the middle of a statement, without Django's knowledge."""
    if task.request.is_eager:
        return
    if state == states.SUCCESS:
        close_old_connections()
    else:
        connections.close_all()

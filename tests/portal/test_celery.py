"""What a worker does for whoever can write to the broker."""

import pytest
from celery.signals import worker_init
from celery.worker.control import Panel

from portal.celery import app


def test_a_worker_answers_pings_and_takes_no_other_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Panel, "data", dict(Panel.data))
    assert {"shutdown", "conf", "cancel_consumer"} < set(Panel.data)
    worker_init.send(sender=app)
    assert set(Panel.data) == {"ping"}

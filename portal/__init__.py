"""The site: settings, addresses, the Celery app. It knows no domain words."""

from portal.celery import app as celery_app

__all__ = ["celery_app"]

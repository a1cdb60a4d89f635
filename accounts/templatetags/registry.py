"""How the registry's pages write durations and documents."""

import json
from datetime import timedelta
from typing import Any

from django import template

register = template.Library()


@register.filter
def duration(value: timedelta) -> str:
    """A duration as people say it: `45 min`, `2 h`, `1 h 30 min`, `3 d`."""
    hours, minutes = divmod(int(value / timedelta(minutes=1)), 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 min"


@register.filter
def pretty_json(document: Any) -> str:
    """A policy document as a person reads it."""
    return json.dumps(document, indent=2, ensure_ascii=False)

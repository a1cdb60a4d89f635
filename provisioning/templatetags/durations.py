"""Durations as people say them."""

from datetime import timedelta

from django import template

from accounts.durations import MINUTE, in_words

register = template.Library()


@register.filter("in_words")
def words(duration: timedelta) -> str:
    """`45 min`, `1 h 30 min`, `3 d`."""
    return in_words(duration // MINUTE)

"""Append-only events: the lowest layer, which knows none of the others."""

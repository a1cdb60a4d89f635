"""Filters of the templates of requests and grants."""

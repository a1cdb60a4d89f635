"""Notices: audit events told to the people whom they concern, by mail, chat and webhooks."""

"""The one door to AWS: sessions, IAM calls, and every error sorted in one place."""

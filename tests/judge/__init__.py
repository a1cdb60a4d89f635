"""The judge: who may do what, by AWS's documentation alone."""

"""Random lives of accesses, compared with a small model of who may enter what."""

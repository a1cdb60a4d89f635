"""What can be decided without Django, a clock or a network."""

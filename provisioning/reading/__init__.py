"""What pages, lists and files show, made from rows. Nothing here writes."""

"""Pages: load what is permitted, check the form, call one service, answer."""

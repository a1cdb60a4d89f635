"""Access reviews: campaigns over live access and over who may ask and who decides."""

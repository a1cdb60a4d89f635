"""What a channel answers when it did not work."""


class NotSent(Exception):
    """It did not work; the text says why, in words and without a secret."""

    def __init__(self, text: str, *, for_good: bool = False, channel_down: bool = True) -> None:
        super().__init__(text)
        self.for_good = for_good
        """Whether trying again is of no use."""
        self.channel_down = channel_down
        """Whether other notices by this channel would meet the same."""

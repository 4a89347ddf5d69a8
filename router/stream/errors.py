"""Why a stream is not opened. Each is a sentence for the caller, to be answered with 429."""


class TooManyStreams(Exception):
    """As many streams are open as may be."""


class TooManyStreamsOfUser(TooManyStreams):
    """The user has as many streams open as one user may have."""

    def __init__(self, limit: int) -> None:
        """`limit` is how many those are."""
        super().__init__(f"you have {limit} streams open, the most that a user may have: close one first")


class TooManyStreamsInAll(TooManyStreams):
    """All users together have."""

    def __init__(self) -> None:
        """Say so; how many that is concerns no caller."""
        super().__init__("as many streams are open here as may be: try again later")

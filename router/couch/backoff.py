"""Pure: how long to pause before the next try, doubling with full jitter."""

import random
from collections.abc import Callable


class Backoff:
    """Pauses between nothing and a ceiling that doubles with each, so that many routers do not return in step.

    Source: "full jitter" in https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/.
    """

    def __init__(
        self,
        base_seconds: float,
        max_seconds: float,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """`uniform(low, high)` draws a number between the two."""
        self._base_seconds = base_seconds
        self._max_seconds = max_seconds
        self._uniform = uniform
        self._ceiling_seconds = base_seconds

    def next_seconds(self) -> float:
        """How long to pause now."""
        ceiling_seconds = min(self._ceiling_seconds, self._max_seconds)
        self._ceiling_seconds = min(ceiling_seconds * 2, self._max_seconds)
        return self._uniform(0, ceiling_seconds)

    def reset(self) -> None:
        """It worked: begin with the shortest pause again."""
        self._ceiling_seconds = self._base_seconds

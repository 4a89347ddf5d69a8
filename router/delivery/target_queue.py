"""Pure: what waits for one target, in the feed's order within each priority."""

from collections import deque
from itertools import islice

from router.delivery.job import Job
from router.delivery.turns import RANKS, Turns


class TargetQueue:
    """The jobs of one target that have not been begun."""

    def __init__(self) -> None:
        self._jobs: tuple[deque[Job], ...] = tuple(deque() for _ in RANKS)
        self._turns = Turns()

    def __len__(self) -> int:
        return sum(map(len, self._jobs))

    def append(self, job: Job) -> None:
        """The next one of its priority."""
        self._rank_of(job).append(job)

    def peek(self) -> Job:
        """The one whose turn it is, as long as none comes that passes it. Raises ValueError when there is none."""
        return self._jobs[self._turns.next(self._jobs)][0]

    def first(self, count: int) -> list[Job]:
        """At most so many of those whose turn comes next, as long as none comes that passes them. Raises ValueError when there
        is none."""
        return list(islice(self._jobs[self._turns.next(self._jobs)], count))

    def take(self) -> Job:
        """The same, which is no longer in the queue."""
        return self._jobs[self._turns.choose(self._jobs)].popleft()

    def put_back(self, job: Job) -> None:
        """One that was taken is the first of its priority again."""
        self._rank_of(job).appendleft(job)

    def take_all(self) -> list[Job]:
        """All of them, in the order of their priorities, and in the feed's within each."""
        jobs = [job for rank in self._jobs for job in rank]
        for rank in self._jobs:
            rank.clear()
        return jobs

    def remove(self, job: Job) -> bool:
        """Take `job` out; False when it is not in the queue."""
        rank = self._rank_of(job)
        if job not in rank:
            return False
        rank.remove(job)
        return True

    def _rank_of(self, job: Job) -> deque[Job]:
        return self._jobs[RANKS[job.delivery.priority]]

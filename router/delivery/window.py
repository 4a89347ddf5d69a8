"""Pure: the deliveries that a lane holds in memory, and which more have a place there."""

from router.delivery.job import Job

WINDOW_CHARS = 32 * 1024 * 1024
"""Characters of message bodies that a window holds, however few messages that is."""
RESERVED_SHARE = 4
"""One place in so many is kept for targets with little to send."""
QUOTA_SHARE = 10
"""One place in so many of those may be taken by the same target."""
USEFUL_SHARE = 8
"""To fill fewer places than one in so many is not worth a look at CouchDB."""


class Window:
    """At most `size` deliveries. Time is handed in, in seconds of any steady clock."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._reserve = size // RESERVED_SHARE
        self._quota = max(1, self._reserve // QUOTA_SHARE)
        self._jobs: dict[str, Job] = {}
        self._chars = 0
        self._unrecorded: dict[str, tuple[float, Job]] = {}
        self._departed: set[str] | None = None
        self._of_message: dict[str, dict[str, Job]] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, delivery_id: str) -> bool:
        return delivery_id in self._jobs

    @property
    def room(self) -> int:
        """How many more fit, but for the places that are kept."""
        return max(0, self._size - self._reserve - len(self._jobs))

    @property
    def useful_room(self) -> int:
        """How much room there should be before it is filled from CouchDB."""
        return max(1, self._size // USEFUL_SHARE)

    def came_before(self, job: Job, moment: float) -> bool:
        """Whether a job that has no document came before `moment`."""
        since = self._unrecorded.get(job.delivery.id)
        return since is not None and since[0] < moment

    def has_place_for(self, job: Job, queued: int) -> bool:
        """Whether `job` fits, when so many of its target are in the window already."""
        free = self._size - len(self._jobs)
        if free <= 0 or (self._jobs and self._chars + job.size_chars > WINDOW_CHARS):
            return False
        # The last places are for targets with little to send, and for what is urgent: a flood must not keep them out.
        return free > self._reserve or queued < self._quota or job.delivery.priority == "critical"

    def of_message(self, message_id: str) -> list[Job]:
        """What the window holds of a message."""
        return list(self._of_message.get(message_id, {}).values())

    def add(self, job: Job, now: float) -> None:
        """Take a job in."""
        self._jobs[job.delivery.id] = job
        self._of_message.setdefault(job.delivery.message_id, {})[job.delivery.id] = job
        self._chars += job.size_chars
        if not job.is_recorded:
            self._unrecorded[job.delivery.id] = (now, job)

    def remove(self, job: Job) -> None:
        """Let a job go."""
        if self._jobs.pop(job.delivery.id, None) is not None:
            self._chars -= job.size_chars
            if self._departed is not None:
                self._departed.add(job.delivery.id)
            of_message = self._of_message[job.delivery.message_id]
            del of_message[job.delivery.id]
            if not of_message:
                del self._of_message[job.delivery.message_id]

    def watch_departures(self) -> set[str]:
        """A set that is filled, from now on, with the ids that leave the window: what CouchDB said of them before they left is
        old news."""
        self._departed = set()
        return self._departed

    def forget_departures(self) -> None:
        """Fill it no further."""
        self._departed = None

    def has_document(self, job: Job) -> None:
        """The delivery stands in CouchDB."""
        self._unrecorded.pop(job.delivery.id, None)
        job.recorded()

    def without_document_since(self, moment: float) -> list[Job]:
        """Those that came before `moment` and have no document yet, nor one on its way to CouchDB."""
        found = []
        for since, job in self._unrecorded.values():
            if since >= moment:
                break  # They stand in the order of their arrival.
            if not job.is_being_recorded:
                found.append(job)
        return found

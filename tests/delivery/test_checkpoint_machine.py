"""However deliveries end and whenever the router dies: what lies before the checkpoint has its documents, and all is tried.

The rules are what the parts around the watermark do (intake, lanes, recorder, checkpoint, restarts), one step at a time and
in any order; the watermark and what is left of a message are the real ones.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from router.channels.base import Target
from router.delivery.reconcile import remaining
from router.delivery.watermark import Ticket, Watermark
from router.documents.delivery import Delivery, Status, delivery_id, message_delivery_id
from router.documents.json_types import JsonValue
from router.routing.route import Routed
from tests.delivery.making import delivery

MOST_MESSAGES = 6
"""In the database at once."""
MOST_DATABASES = 3
"""One after the other, in one example: each takes away what had been brought about before."""
MOST_LIVES = 4
MESSAGES = st.tuples(st.sampled_from([1, 2, 3, 0]), st.sampled_from([False, False, False, True]))
"""Number of targets, and whether some groups lead nowhere; most messages are good, since the feed stops for the others."""


@dataclass
class Message:
    """A message document in the database."""

    id: str
    targets: int
    is_refused: bool
    """Whether it has a document about itself as a whole: some of its groups lead nowhere."""
    edits: int = 0

    @property
    def rev(self) -> str:
        return f"{self.edits + 1}-x"

    @property
    def delivery_ids(self) -> list[str]:
        return [delivery_id(self.id, "mail", str(n)) for n in range(self.targets)]

    @property
    def expected(self) -> set[str]:
        """The documents that there must be about it."""
        return {*self.delivery_ids, *([message_delivery_id(self.id)] if self.is_refused else [])}

    def routed(self) -> Routed:
        """As `route` would have it."""

        def made(its_id: str, **fields: object) -> Delivery:
            known = {"id": its_id, "message_id": self.id, "message_rev": self.rev, "targets": self.targets}
            return delivery(**{**known, **fields})

        refusal = made(message_delivery_id(self.id), channel=None, target=None, status="UNROUTABLE", groups=["#gone"])
        deliveries = tuple((made(i), Target("mail", i, i)) for i in self.delivery_ids)
        return Routed(None, deliveries, refusal if self.is_refused else None)


@dataclass
class Couch:
    """The database: what outlives the router. Made again, it is another one of the same name."""

    generation: int
    messages: dict[str, Message] = field(default_factory=dict)
    rows: list[str | None] = field(default_factory=list)
    """The feed: the id of each message at its latest revision; None where a later revision took the row's place."""
    documents: dict[str, Delivery] = field(default_factory=dict)
    checkpoint: tuple[JsonValue, int] | None = None
    """A seq, and the generation it is of."""

    def seq(self, place: int) -> str:
        """The seq behind which the feed goes on at `place`."""
        return f"{place}-{self.generation}"

    def place(self, seq: JsonValue) -> int:
        number, generation = str(seq).split("-")
        assert int(generation) == self.generation, "a seq of another database"
        return int(number)

    def append(self, message: Message) -> None:
        if message.id in self.rows:
            self.rows[self.rows.index(message.id)] = None
        self.messages[message.id] = message
        self.rows.append(message.id)


@dataclass
class Job:
    """A delivery in a lane's memory."""

    delivery: Delivery
    on_recorded: Callable[[], None]
    routed_in: int
    """The generation whose feed it came from."""


class Router:
    """One life of the router: gone when it dies."""

    def __init__(self, couch: Couch) -> None:
        saved = couch.checkpoint
        self.generation = couch.generation
        self.place = couch.place(saved[0]) if saved is not None and saved[1] == couch.generation else 0
        self.mark = Watermark(couch.seq(self.place))
        self.open: dict[str, Ticket] = {}
        self.lane: list[Job] = []
        self.recording: dict[str, list[Job]] = {}
        self.attempts: Counter[tuple[str, int]] = Counter()

    def take(self, couch: Couch, message: Message, seq: JsonValue) -> None:
        """What intake does with a row."""
        if message.id in self.open:
            self.mark.add(seq)
            return
        routed = message.routed()
        existing = {i: d for i, d in couch.documents.items() if d.message_id == message.id}
        rest = remaining(routed, message.id, message.rev, existing)
        count = len(rest.deliveries) + (rest.refusal is not None) + (rest.outdated is not None)
        ticket = self.mark.add(seq, count)
        if count:
            self.open[message.id] = ticket

        def close() -> None:
            self.mark.close(ticket)
            if ticket.open <= 0 and self.open.get(message.id) is ticket:
                del self.open[message.id]

        self.lane += [Job(d, close, self.generation) for d, _ in rest.deliveries]
        if rest.refusal is not None:
            self.recording[rest.refusal.id] = [Job(rest.refusal, close, self.generation)]
        if rest.outdated is not None:
            del couch.documents[rest.outdated.id]
            close()

    @property
    def is_held_back(self) -> bool:
        """Whether it waits for a refusal to be written before it takes the next rows."""
        return any(job.delivery.channel is None for jobs in self.recording.values() for job in jobs)

    def begin_again(self) -> None:
        """The database is another one: what was begun for the old one says nothing about its rows, and is forgotten."""
        self.generation += 1
        self.place = 0
        self.mark = Watermark(f"0-{self.generation}")
        self.open.clear()
        self.lane.clear()
        self.recording.clear()


class TheRouterDies(RuleBasedStateMachine):
    """A router on a database, and all that can happen to both."""

    couch: Couch
    router: Router

    @initialize()
    def start(self) -> None:
        self.couch = Couch(generation=0)
        self.saves: list[tuple[JsonValue, int]] = []
        """Checkpoints on their way to CouchDB; they may arrive late, in any order, and after their sender died."""
        self.written = 0
        self.lives = 1
        self.saving: JsonValue = None
        """The position of the latest of them."""
        self.tried: set[str] = set()
        self.router = Router(self.couch)

    # --- apps and admins

    @precondition(lambda self: len(self.couch.messages) < MOST_MESSAGES)
    @rule(messages=st.lists(MESSAGES, min_size=1, max_size=4))
    def write(self, messages: list[tuple[int, bool]]) -> None:
        for count, is_refused in messages:
            self.couch.append(Message(f"m{self.written}", count, is_refused or not count))
            self.written += 1

    @precondition(lambda self: bool(self.couch.messages))
    @rule(data=st.data(), count=st.integers(1, 3))
    def edit(self, data: st.DataObject, count: int) -> None:
        """A later revision says the same, or corrects a message that reached nobody."""
        message = self.couch.messages[data.draw(st.sampled_from(sorted(self.couch.messages)))]
        is_refused = message.is_refused and bool(message.targets)
        self.couch.append(Message(message.id, message.targets or count, is_refused, message.edits + 1))

    @precondition(lambda self: bool(self.router.open) and self.couch.generation + 1 < MOST_DATABASES)
    @rule(share=st.floats(0, 1), is_noticed=st.booleans())
    def drop_and_make_again(self, share: float, is_noticed: bool) -> None:
        """With some of the messages that it had, as from a backup."""
        kept = list(self.couch.messages.values())[: round(share * len(self.couch.messages))]
        self.couch = Couch(self.couch.generation + 1)
        for message in kept:
            self.couch.append(message)
        if is_noticed:
            self.notice_that_it_is_another()

    # --- the feed

    @precondition(
        lambda self: self.follows and not self.router.is_held_back and self.router.place < len(self.couch.rows)
    )
    @rule(has_seq=st.lists(st.booleans(), min_size=1, max_size=4), stops=st.booleans())
    def read(self, has_seq: list[bool], stops: bool) -> None:
        router = self.router
        for has in has_seq:
            if router.place == len(self.couch.rows):
                break
            message_id = self.couch.rows[router.place]
            router.place += 1
            if message_id is not None:
                seq = self.couch.seq(router.place) if has else None
                router.take(self.couch, self.couch.messages[message_id], seq)
        if stops:
            router.mark.add(self.couch.seq(router.place))

    @precondition(lambda self: self.follows and self.router.place > 0)
    @rule(share=st.floats(0, 1, exclude_max=True))
    def rewind(self, share: float) -> None:
        self.router.place = int(share * self.router.place)

    @precondition(lambda self: not self.follows)
    @rule()
    def notice_that_it_is_another(self) -> None:
        while not self.follows:
            self.router.begin_again()

    # --- lanes and recorder

    @precondition(lambda self: bool(self.router.lane))
    @rule(data=st.data(), ends=st.lists(st.booleans(), min_size=1, max_size=4))
    def leave_the_lane(self, data: st.DataObject, ends: list[bool]) -> None:
        """Deliveries are attempted and end, or find no room and have to wait in CouchDB."""
        for has_ended in ends[: len(self.router.lane)]:
            job = self.router.lane.pop(data.draw(st.integers(0, len(self.router.lane) - 1)))
            if has_ended:
                self._attempt(job)
            self.router.recording.setdefault(job.delivery.id, []).append(job)

    def _attempt(self, job: Job) -> None:
        self.router.attempts[job.delivery.id, job.routed_in] += 1
        self.tried.add(job.delivery.id)
        job.delivery = job.delivery.model_copy(update={"status": Status.COMPLETE})

    @precondition(lambda self: bool(self.router.recording))
    @rule(data=st.data())
    def record(self, data: st.DataObject) -> None:
        """A batch of any documents, in any order; but what says that a message was refused was handed in before the message's
        deliveries were, and the recorder writes nothing before what it got first."""
        waiting = st.sampled_from(sorted(self.router.recording))
        for its_id in data.draw(st.lists(waiting, unique=True, min_size=1, max_size=6)):
            for first in (message_delivery_id(its_id.split(":")[1]), its_id):
                if first in self.router.recording:
                    self._record(self.router.recording.pop(first))

    def _record(self, jobs: list[Job]) -> None:
        """One document for all that was submitted about it."""
        for job in jobs:
            self.couch.documents[job.delivery.id] = job.delivery
            job.on_recorded()

    def _waiting(self) -> list[Delivery]:
        """What waits in CouchDB and is in no memory."""
        held = {*self.router.recording, *(job.delivery.id for job in self.router.lane)}
        return [d for i, d in self.couch.documents.items() if d.status is Status.PENDING and i not in held]

    @precondition(lambda self: bool(self._waiting()))
    @rule()
    def read_back(self) -> None:
        self.router.lane += [Job(found, lambda: None, self.couch.generation) for found in self._waiting()]

    # --- checkpoint and death

    @precondition(lambda self: self.router.mark.position != self.saving)
    @rule()
    def begin_to_save(self) -> None:
        self.saving = self.router.mark.position
        self.saves.append((self.saving, self.router.generation))

    @precondition(lambda self: bool(self.saves))
    @rule(data=st.data())
    def saved(self, data: st.DataObject) -> None:
        self.couch.checkpoint = self.saves.pop(data.draw(st.integers(0, len(self.saves) - 1)))

    @precondition(lambda self: bool(self.router.open) and self.lives < MOST_LIVES)
    @rule()
    def die(self) -> None:
        self.lives += 1
        self.router = Router(self.couch)

    # --- what must hold

    @property
    def follows(self) -> bool:
        """Whether the router knows which database this is."""
        return self.router.generation == self.couch.generation

    def _has_all_documents_before(self, seq: JsonValue) -> None:
        for message_id in self.couch.rows[: self.couch.place(seq)]:
            if message_id is not None:
                lacking = self.couch.messages[message_id].expected - self.couch.documents.keys()
                assert not lacking, f"the checkpoint {seq} is behind {message_id}, which lacks {lacking}"

    @invariant()
    def nothing_before_the_checkpoint_lacks_a_document(self) -> None:
        saved = self.couch.checkpoint
        if saved is not None and saved[1] == self.couch.generation:
            self._has_all_documents_before(saved[0])
        if self.follows:
            self._has_all_documents_before(self.router.mark.position)

    @invariant()
    def no_life_attempts_anything_twice(self) -> None:
        assert all(count == 1 for count in self.router.attempts.values())

    @invariant()
    def only_what_is_open_holds_the_position_back(self) -> None:
        if not self.router.open:
            assert self.router.mark.rows_open == 0

    def teardown(self) -> None:
        """Left alone after one more death, everything is attempted, and the checkpoint comes to the end."""
        self.die()
        self.read_back()
        while self.router.place < len(self.couch.rows):
            self.read([True], False)
            for its_id in [i for i, jobs in self.router.recording.items() if jobs[0].delivery.channel is None]:
                self._record(self.router.recording.pop(its_id))
        while self.router.lane:
            job = self.router.lane.pop()
            self._attempt(job)
            self._record([job])
        for message in self.couch.messages.values():
            assert message.expected <= self.couch.documents.keys()
            for its_id in message.delivery_ids:
                assert self.couch.documents[its_id].status is Status.COMPLETE
                assert its_id in self.tried
        if self.couch.rows:
            assert self.router.mark.position == self.couch.seq(len(self.couch.rows))
        assert self.router.mark.rows_open == 0


TestTheRouterDies = TheRouterDies.TestCase
TestTheRouterDies.settings = settings(
    max_examples=100, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)

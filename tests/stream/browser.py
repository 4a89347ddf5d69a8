"""What a browser makes of a stream: reads its bytes as WHATWG HTML section 9.2.6 says, and keeps the last event's id."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Message:
    """An event as a page gets it."""

    type: str
    data: str
    last_event_id: str


@dataclass
class Browser:
    """One `EventSource`, across its reconnects."""

    last_event_id: str = ""
    messages: list[Message] = field(default_factory=list)
    comments: int = 0

    def receive(self, body: bytes) -> list[Message]:
        """Read the whole blocks in `body`; the messages that they dispatch."""
        text = body.decode("utf-8")
        assert text.endswith("\n\n")
        before = len(self.messages)
        event_type, data, id_buffer = "", "", self.last_event_id
        for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[:-1]:
            if not line:
                self.last_event_id = id_buffer
                if data:
                    self.messages.append(Message(event_type or "message", data.removesuffix("\n"), id_buffer))
                event_type, data = "", ""
                continue
            if line.startswith(":"):
                self.comments += 1
                continue
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "event":
                event_type = value
            elif name == "data":
                data += value + "\n"
            elif name == "id" and "\0" not in value:
                id_buffer = value
        return self.messages[before:]

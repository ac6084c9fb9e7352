"""Every error this program raises on purpose. Each class has exactly one consequence.

DistributorError
├─ SettingsError        the operator fixes the configuration; start-up stops with file:line:column
├─ SourceError          this poll is skipped, the reason is shown, the next tick tries again
├─ TemplateError        the edition is parked; the editor sees template and line
├─ Unsupported          the editor's choice cannot be said on this channel; refused when it is saved
├─ StorageError         the database cannot be used as it is; the command stops and says what to type
└─ SendError
   ├─ Busy              queued again, not before `retry_after` seconds from now
   ├─ Outage            provably not sent; queued again with a growing wait, a bounded number of times
   ├─ MessageRefused    failed; this message only
   ├─ RecipientGone     failed; the subscriber is marked unreachable
   ├─ ChannelClosed     held; the channel is paused, the editors are told, nothing is lost
   └─ Unknown           perhaps sent; reconciled or decided by a person, never resent by itself
"""


class DistributorError(Exception):
    """What a person is told: one sentence that names the thing and the fix."""


class SettingsError(DistributorError):
    """One or more mistakes in the configuration; `problems` holds a line for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class SourceError(DistributorError):
    """A source could not be read this time. `retry_after` (seconds) when the site named a time."""

    def __init__(self, message: str, retry_after: float | None = None, is_gone: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.is_gone = is_gone


class TemplateError(DistributorError):
    """A template does not parse, raised, or cost too much."""

    def __init__(self, message: str, template: str = "", line: int | None = None) -> None:
        where = f"{template}:{line}: " if template and line else f"{template}: " if template else ""
        super().__init__(where + message)
        self.template = template
        self.line = line


class Unsupported(DistributorError):
    """The channel has no way to say this."""


class StorageError(DistributorError):
    """The database is locked, newer than this program, damaged, full or not there."""


class SendError(DistributorError):
    """A message did not get a plain yes. `detail` is the service's own answer, without secrets."""

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class Busy(SendError):
    """The service asks for patience; nothing was sent."""

    def __init__(self, message: str, retry_after: float, detail: str = "") -> None:
        super().__init__(message, detail)
        self.retry_after = retry_after


class Outage(SendError):
    """No byte of the message can have been accepted: refused connection, DNS, TLS, an early 4xx."""


class MessageRefused(SendError):
    """The service read this message and said no; another message may pass."""


class RecipientGone(SendError):
    """This recipient cannot be reached any more: no such mailbox, bot blocked."""


class ChannelClosed(SendError):
    """Nothing can go out on this channel until a person acts: key revoked, kicked, out of credit."""


class Unknown(SendError):
    """A byte could have left and no complete answer came back."""

"""Mails through an SMTP relay: several connections side by side, one try for each mail."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from distributor.channels.email.headers import split_mailbox
from distributor.channels.email.readers import read_recipients
from distributor.channels.email.replies import is_for_everyone
from distributor.channels.email.segments import Letter, Mail
from distributor.channels.email.settings import Settings
from distributor.channels.email.smtp_line import Line, LostConnection
from distributor.core.contracts import Wire
from distributor.core.errors import Busy, Outage, SendError
from distributor.core.message import Message, NotStarted, Outcome


class SmtpTransport:
    """Keeps its connections between calls. One thread at a time may call it."""

    def __init__(self, settings: Settings) -> None:
        _, self._sender = split_mailbox(settings.bounce_address or settings.from_)
        self._lines = [Line(settings) for _ in range(settings.connections)]

    def send(self, letter: Letter, messages: Sequence[Message], wire: Wire) -> list[Outcome]:
        """One try for each message; what no connection could take any more gets the reason why.

        An error that `wire.start` raises stops the batch and is raised again here.
        """
        batch = _Batch(letter, self._sender, messages, wire)
        for line in self._lines:
            # It may have stood idle since the last call, and servers hang up on such.
            line.is_fresh = False
        first, *more = self._lines[: len(messages)] or self._lines[:1]
        try:
            first.ensure_open()
        except SendError as error:
            return batch.finish(error)
        helpers = [threading.Thread(target=batch.work, args=(line,), daemon=True) for line in more]
        for helper in helpers:
            helper.start()
        batch.work(first)
        for helper in helpers:
            helper.join()
        return batch.finish(Outage("every connection to the mail server was lost"))

    def check(self) -> list[str]:
        """Log in and say NOOP; a sentence when that does not work."""
        try:
            self._lines[0].ensure_open()
            reply = self._lines[0].ask(b"NOOP\r\n")
        except SendError as error:
            return [f"{error}: {error.detail}" if error.detail else str(error)]
        except LostConnection as error:
            return [f"the mail server hung up: {error}"]
        return [] if reply.code == 250 else [f"the mail server is not ready: {reply.words}"]

    def close(self) -> None:
        for line in self._lines:
            line.quit()


class _Batch:
    """The messages of one `send`, taken in turn by the threads of its connections."""

    def __init__(self, letter: Letter, sender: str, messages: Sequence[Message], wire: Wire) -> None:
        self._letter = letter
        self._sender = sender
        readers, refused = read_recipients(messages)
        self._wire = wire
        self._todo = deque(letter.list_mails(readers))
        self._outcomes: list[Outcome] = [NotStarted()] * len(messages)
        self._why_ended: SendError | None = None
        self._crash: BaseException | None = None
        self._was_told_no = False
        self._is_over = False
        for index, error in refused.items():
            self._settle(index, error)

    def work(self, line: Line) -> None:
        """Send until nothing is left or this connection cannot go on. Raises nothing; see `finish`."""
        try:
            while self._todo and not self._is_over and self._work_once(line):
                pass
        except BaseException as error:
            self._crash = error
            self._is_over = True
            line.drop()

    def finish(self, otherwise: SendError) -> list[Outcome]:
        """Settle what no connection took, and give all outcomes in order."""
        if self._crash is not None:
            raise self._crash
        while self._todo:
            self._settle(self._todo.popleft()[0], self._why_ended or otherwise)
        return self._outcomes

    def _work_once(self, line: Line) -> bool:
        try:
            line.ensure_open()
        except SendError as error:
            self._end(error)
            return False
        try:
            mail = self._todo.popleft()
        except IndexError:
            return False
        outcome = self._send_one(line, mail)
        self._settle(mail[0], outcome)
        if isinstance(outcome, SendError) and is_for_everyone(outcome):
            self._end(outcome)
        elif isinstance(outcome, SendError) and not line.is_open and not line.carried:
            # A server that breaks off before it took one mail would do so for each of the rest.
            self._why_ended = (
                outcome if isinstance(outcome, Busy) else Outage(f"not tried, because before: {outcome}")
            )
            return False
        return not self._is_over

    def _end(self, error: SendError) -> None:
        self._why_ended = error
        self._is_over = self._is_over or is_for_everyone(error)

    def _settle(self, index: int, outcome: Outcome) -> None:
        self._outcomes[index] = outcome
        self._wire.settle(index, outcome)

    def _send_one(self, line: Line, mail: Mail) -> Outcome:
        index, address, row = mail
        # After one no (paused, stopping) the others are asked before their envelope, which costs round trips.
        is_asked = self._was_told_no
        if is_asked and not self._start(index):
            return NotStarted()
        body = self._letter.write(row)
        return line.deliver(self._sender, address, body, lambda: is_asked or self._start(index))

    def _start(self, index: int) -> bool:
        is_allowed = self._wire.start([index])
        self._was_told_no = self._was_told_no or not is_allowed
        return is_allowed

"""One connection's part in a batch: which replies are awaited and what each of them means for which mail."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from distributor.channels.email.replies import Reply, explain_refusal, find_receipt
from distributor.channels.email.segments import Mail
from distributor.channels.email.settings import Settings
from distributor.channels.email.smtp_batch import Batch
from distributor.channels.email.smtp_link import Link
from distributor.core.errors import MessageRefused, Outage, SendError, Unknown
from distributor.core.message import Accepted, Outcome
from distributor.core.points import reach

#: What a reply does, and a command with what its reply does.
Meaning = Callable[[Reply], None]
Command = tuple[Meaning, bytes]


class Carrier:
    """Carries mails of a batch over one link until there are no more, its share is used up, or it is lost.

    At most one mail is between its first byte and its answer; the envelope of the next one may be under way too.
    """

    def __init__(self, link: Link, batch: Batch, settings: Settings) -> None:
        self._link = link
        self._batch = batch
        self._timeout = settings.timeout
        self._answer_wait = settings.answer_wait
        self._share = settings.per_connection
        self._is_pipelined = "PIPELINING" in link.offers
        size = link.offers.get("SIZE", "")
        self._largest = int(size) if size.isdigit() and int(size) else 0
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = self._loop.create_future()
        #: The commands whose replies are awaited, in order, and those that wait for them (no PIPELINING).
        self._awaited: deque[Meaning] = deque()
        self._unsaid: deque[Command] = deque()
        #: The mail whose end is written and not answered.
        self._on_wire: int | None = None
        #: The mail whose envelope is under way, and why it cannot be sent, once that is known.
        self._next: Mail | None = None
        self._refusal: Outcome | None = None
        #: Whether the answers to a mail and to the envelope behind it are awaited and not yet in `_awaited`.
        self._is_flowing = False
        self.last_outcome: Outcome | None = None

    async def carry(self) -> None:
        self._link.on_reply = self._take_reply
        self._link.on_lost = self._end_lost
        try:
            self._say(self._envelope())
            self._end_if_idle()
            await self._done
        except Exception as error:  # a bug of ours: what was started stays in doubt, the batch says so
            self._batch.crash(error)
            self._link.drop("we broke off")
        finally:
            self._link.stop_listening()

    # -- what is said ----------------------------------------------------------------------------------------

    def _envelope(self, reset: bool = False) -> list[Command]:
        """The next mail's envelope as commands; nothing when there is no next one for this connection."""
        head: list[Command] = [(self._after_rset, b"RSET\r\n")] if reset else []
        taken = self._take_next()
        if taken is None:
            return head
        recipient = f"RCPT TO:<{taken[1]}>\r\n".encode("ascii")
        return [
            *head,
            (self._after_mail, self._batch.mail_from),
            (self._after_rcpt, recipient),
            (self._after_data, b"DATA\r\n"),
        ]

    def _take_next(self) -> Mail | None:
        """The mail whose envelope is said next, if there is one for this connection."""
        if self._link.tries >= self._share:
            return None
        taken = self._take()
        if taken is not None:
            reach("smtp.mail")
            self._next, self._refusal = taken, None
            self._link.tries += 1
        return taken

    def _take(self) -> Mail | None:
        """The next mail that is not too large for this server (RFC 1870)."""
        while (taken := self._batch.take()) is not None:
            if not self._largest or self._batch.measure(taken[2]) <= self._largest:
                return taken
            why = f"the mail server takes mails of at most {self._largest} bytes"
            self._settle(taken[0], MessageRefused(why))
        return None

    def _say(self, commands: list[Command], first: bytes = b"", wait: float = 0.0) -> None:
        """Write `first` and the commands in one piece, or, without PIPELINING, each after the answer before it."""
        self._unsaid.extend(commands)
        parts = [first] if first else []
        while self._unsaid and (self._is_pipelined or not self._awaited):
            meaning, command = self._unsaid.popleft()
            self._awaited.append(meaning)
            parts.append(command)
        if parts:
            self._link.write(b"".join(parts), self._loop.time() + (wait or self._timeout))

    def _give(self) -> None:
        """The server is ready for the mail (354): its bytes, its dot, and the next envelope behind it."""
        assert self._next is not None
        index, _, row = self._next
        self._on_wire, self._next = index, None
        reach("smtp.body")
        if not self._is_pipelined or self._awaited or self._unsaid:
            self._awaited.append(self._after_dot)
            self._say(self._envelope(), self._batch.write(row), self._answer_wait)
            return
        # The usual case, in one piece that is put together once and answered in one piece too.
        taken = self._take_next()
        said = self._batch.write(row, self._batch.write_envelope(taken[1]) if taken else b"")
        if taken:
            self._is_flowing, self._link.on_group = True, self._take_group
        else:
            self._awaited.append(self._after_dot)
        self._link.write(said, self._loop.time() + self._answer_wait)

    # -- what is answered ------------------------------------------------------------------------------------

    def _take_group(self, words: str) -> None:
        """A yes to the mail and to the whole envelope behind it."""
        try:
            self._is_flowing, self._link.on_group, self._link.deadline = False, None, None
            index = self._end_body()
            self._link.carried += 1
            self._settle(index, Accepted(find_receipt(words), f"250 {words}"[:300]))
            if not self._link.why_lost:
                self._batch.when_ready(self)
        except Exception as error:  # as in `carry`
            self._batch.crash(error)
            self._link.drop("we broke off")

    def _await_each(self) -> None:
        """The answers did not come in one piece: each is looked at."""
        self._is_flowing, self._link.on_group = False, None
        self._awaited.extend((self._after_dot, self._after_mail, self._after_rcpt, self._after_data))

    def _take_reply(self, reply: Reply) -> None:
        try:
            if self._is_flowing:
                self._await_each()
            means = self._awaited.popleft() if self._awaited else self._after_nothing
            means(reply)
            if not self._link.why_lost:
                if self._unsaid:
                    self._say([])
                self._restart_clock()
                self._end_if_idle()
        except Exception as error:  # as in `carry`
            self._batch.crash(error)
            self._link.drop("we broke off")

    def _after_nothing(self, reply: Reply) -> None:
        self._link.drop(f"it said something nobody had asked: {reply.code}")

    def _after_rset(self, reply: Reply) -> None:
        if reply.code != 250:
            self._link.drop(f"it could not begin anew: {reply.code}")

    def _after_mail(self, reply: Reply) -> None:
        if reply.code == 421 and self._is_kept:
            self._link.drop("it closes down")
        elif reply.code // 100 != 2:
            self._refuse_next(explain_refusal(reply, "sender"))
            self._drop_on_421(reply)

    def _after_rcpt(self, reply: Reply) -> None:
        if reply.code // 100 != 2:
            self._refuse_next(explain_refusal(reply, "recipient"))
            self._drop_on_421(reply)

    def _refuse_next(self, refusal: SendError) -> None:
        """The answers to what is said already still come; what is not said yet need not be."""
        self._refusal = self._refusal or refusal
        if self._unsaid:
            self._unsaid.clear()
            self._settle_next(self._refusal)
            self._say(self._envelope(reset=True))

    def _after_data(self, reply: Reply) -> None:
        if self._refusal is None and reply.code == 354:
            self._batch.when_ready(self)
            return
        refusal = self._refusal or explain_refusal(reply, "message")
        self._settle_next(refusal)
        if reply.code == 354:
            # RFC 2920 3.1: a server may take the data of a mail it has refused everybody for. It gets none.
            self._awaited.append(self._after_void)
            self._say(self._envelope(), b".\r\n")
        elif not self._drop_on_421(reply):
            self._say(self._envelope(reset=True))

    def _after_void(self, reply: Reply) -> None:
        self._drop_on_421(reply)

    def _after_dot(self, reply: Reply) -> None:
        self._settle(self._end_body(), self._judge(reply))
        self._drop_on_421(reply)

    def _end_body(self) -> int:
        """The mail that was on the wire has its answer."""
        reach("smtp.body answered")
        index, self._on_wire = self._on_wire, None
        assert index is not None
        return index

    def _judge(self, reply: Reply) -> Outcome:
        if reply.code // 100 == 2:
            self._link.carried += 1
            return Accepted(find_receipt(reply.text), reply.words)
        if reply.code >= 400:
            return explain_refusal(reply, "message")
        self._link.drop("its answer makes no sense")
        return Unknown("the answer after the mail was sent makes no sense", reply.words)

    # -- how it ends -----------------------------------------------------------------------------------------

    def begin_body(self) -> None:
        """The batch has put this mail on record."""
        try:
            self._give()
        except Exception as error:  # as in `carry`
            self._batch.crash(error)
            self._link.drop("we broke off")

    @property
    def waiting(self) -> int | None:
        """The mail that waits for `begin_body` or `refuse_body`; None when the link was lost since."""
        return self._next[0] if self._next is not None else None

    @property
    def _is_kept(self) -> bool:
        """Whether the link had done something before the next mail, which then did nothing to lose it."""
        return self._link.tries > 1 and self._next is not None and self._batch.may_return(self._next[0])

    def refuse_body(self, why: Outcome) -> None:
        """It may not go out: the only way back from here is to hang up before the first byte."""
        self._refusal = why
        self._link.drop("we were told to stop")

    def _settle_next(self, outcome: Outcome) -> None:
        assert self._next is not None
        index, self._next, self._refusal = self._next[0], None, None
        self._settle(index, outcome)

    def _settle(self, index: int, outcome: Outcome) -> None:
        self.last_outcome = outcome
        self._batch.settle(index, outcome)

    def _drop_on_421(self, reply: Reply) -> bool:
        if reply.code == 421:
            self._link.drop("it closes down")
        return reply.code == 421

    def _restart_clock(self) -> None:
        if self._awaited:
            wait = self._answer_wait if self._on_wire is not None else self._timeout
            self._link.deadline = self._loop.time() + wait
        else:
            self._link.deadline = None

    def _end_if_idle(self) -> None:
        if not self._awaited and not self._unsaid and self._next is None and not self._done.done():
            self._done.set_result(None)

    def _end_lost(self) -> None:
        """The link is gone: what was on the wire is unknown, what was only announced is not."""
        why = self._link.why_lost
        if self._on_wire is not None:
            index, self._on_wire = self._on_wire, None
            self._settle(index, Unknown(f"no complete answer came after the mail was sent: {why}"))
        if self._next is not None:
            self._end_next(why)
        if not self._done.done():
            self._done.set_result(None)

    def _end_next(self, why: str) -> None:
        assert self._next is not None
        refusal = self._refusal
        if refusal is not None:
            self._settle_next(refusal)
        elif self._is_kept:
            self._batch.give_back(self._next)
            self._next = None
        else:
            self._settle_next(Outage(f"the mail server went away before it had the mail: {why}"))

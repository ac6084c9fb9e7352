"""Both services as we believe they behave, on the real wire."""

from __future__ import annotations

from distributor.channels.email.sandbox_sendgrid import SendgridSandbox
from distributor.channels.email.sandbox_smtp import SmtpSandbox

SANDBOXES: tuple[type[SmtpSandbox] | type[SendgridSandbox], ...] = (SmtpSandbox, SendgridSandbox)

"""What both SMTP clients need to reach a relay: whom to trust, and what it means when there is no way in."""

from __future__ import annotations

import ssl

from distributor.channels.email.settings import Settings
from distributor.core.errors import ChannelClosed, Outage, SendError


def make_trust(settings: Settings) -> ssl.SSLContext:
    """Certificates are checked, against the system's authorities or the operator's own. Raises ChannelClosed."""
    try:
        return ssl.create_default_context(cafile=settings.tls_ca)
    except OSError as error:
        raise ChannelClosed(f"tls_ca {settings.tls_ca} cannot be read: {error.strerror or error}") from None


def explain_no_way_in(where: str, error: OSError | UnicodeEncodeError) -> SendError:
    """The outcome when no connection came about: nothing was sent."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return ChannelClosed(
            f"the certificate of {where} is not to be trusted ({error.verify_message}): "
            "check host, or set tls_ca to the authority that signed it"
        )
    if isinstance(error, UnicodeEncodeError):
        return ChannelClosed("username or password has letters outside ASCII, which SMTP cannot carry")
    return Outage(f"cannot reach the mail server {where}: {describe_loss(error)}")


def describe_loss(error: OSError) -> str:
    """Why a connection failed, in words."""
    return "it took too long" if isinstance(error, TimeoutError) else str(error) or type(error).__name__

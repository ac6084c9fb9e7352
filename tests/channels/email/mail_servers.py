"""Real mail servers from a distribution's packages, each started on loopback in a folder of its own.

All of them deliver whatever they accept for example.com into one Maildir, so that every byte can be compared, and
refuse gone@example.com. They take mails in plain text and with STARTTLS on the same port.
"""

from __future__ import annotations

import email
import email.message
import fcntl
import os
import pwd
import shutil
import smtplib
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.certificate import make_certificate

DOMAIN = "example.com"


@dataclass(frozen=True)
class Limits:
    """At how much a server loses patience. Not every one of them knows each of these limits."""

    connections: int
    #: Over one connection.
    mails: int
    #: Refusals over one connection.
    errors: int


STRICT = Limits(connections=3, mails=15, errors=5)


@dataclass(frozen=True)
class MailServer:
    """A running server: its port, and where its mails arrive."""

    port: int
    maildir: Path
    #: PEM file to trust.
    certificate: Path

    def list_mails(self) -> list[Path]:
        return [path for part in ("new", "cur") for path in (self.maildir / part).glob("*")]

    def say_why_no_tls(self) -> str:
        """Why Python's own client cannot encrypt either; "" when it can.

        OpenSMTPD 6.8.0p2 as Debian 12 builds it loses its key with OpenSSL 3 ("missing private key" in its log).
        """
        context = ssl.create_default_context(cafile=self.certificate)
        with smtplib.SMTP("127.0.0.1", self.port, timeout=20) as client:
            try:
                client.starttls(context=context)
            except ssl.SSLError as error:
                client.close()
                return f"this server cannot do STARTTLS, smtplib hears the same: {error.reason}"
        return ""

    def wait_for_mails(self, count: int, seconds: float) -> list[email.message.Message]:
        """Once there are so many, or the time is over."""
        deadline = time.monotonic() + seconds
        while len(self.list_mails()) < count and time.monotonic() < deadline:
            time.sleep(0.05 + count / 5000)
        return [email.message_from_bytes(path.read_bytes()) for path in self.list_mails()]


def find_program(*names: str) -> str | None:
    """The first of these programs that is installed, also where only root's PATH looks."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin"
    return next((found for name in names if (found := shutil.which(name, path=path))), None)


def why_not(name: str) -> str:
    """Why a server cannot be run here; "" when it can."""
    if find_program(PROGRAMS[name]) is None:
        return f"{name} is not installed (Debian's package {PACKAGES[name]})"
    return "" if os.geteuid() == 0 else f"{name} drops privileges by itself, so it must be started by root"


@contextmanager
def run_mail_server(name: str, folder: Path, is_strict: bool = False) -> Iterator[MailServer]:
    """The server, until the block ends. `is_strict`: with little patience, see STRICT."""
    with _wait_for_turn(name), _run(name, folder, is_strict) as server:
        yield server


@contextmanager
def _wait_for_turn(name: str) -> Iterator[None]:
    """OpenSMTPD has one queue and one control socket on a machine, wherever its configuration is: two of them side
    by side take mails out of each other's hands and tell clients to come back later. So tests take turns."""
    if name != "opensmtpd":
        yield
        return
    with (Path(tempfile.gettempdir()) / "distributor-tests-opensmtpd.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _run(name: str, folder: Path, is_strict: bool) -> Iterator[MailServer]:
    port = _find_port()
    maildir = folder / "mail" / "inbox"
    certificate = make_certificate(folder / "server.pem", is_rsa=True)
    certificate.chmod(0o600)
    command = WRITERS[name](folder, port, is_strict)
    for part in ("new", "cur", "tmp"):
        (maildir / part).mkdir(parents=True, exist_ok=True)
    for path in (folder / "mail", maildir, *maildir.iterdir()):
        os.chown(path, *_find_owner(OWNERS[name]))
    # Servers walk down to the Maildir with the rights of the reader.
    folder.chmod(0o755)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            _wait_for(port, process, folder / "log")
            yield MailServer(port, maildir, certificate)
        finally:
            process.terminate()
            process.wait(20)


def _find_owner(name: str) -> tuple[int, int]:
    user = pwd.getpwnam(name)
    return user.pw_uid, user.pw_gid


def _find_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, f"it ended: {log.read_text()}"
        with socket.socket() as one:
            one.settimeout(5)
            if one.connect_ex(("127.0.0.1", port)) == 0 and one.recv(3) == b"220":
                return
        time.sleep(0.05)
    raise AssertionError(f"no greeting: {log.read_text()}")


def _write_postfix(folder: Path, port: int, is_strict: bool) -> list[str]:
    uid, gid = _find_owner("nobody")
    config, queue, data = folder / "etc", folder / "queue", folder / "data"
    daemons = subprocess.check_output(["postconf", "-d", "-h", "daemon_directory"], text=True).strip()
    for path in (config, queue, data):
        path.mkdir()
    os.chown(data, pwd.getpwnam("postfix").pw_uid, -1)
    (config / "main.cf").write_text(
        f"""compatibility_level = 3.6
queue_directory = {queue}
data_directory = {data}
daemon_directory = {daemons}
maillog_file_prefixes = {folder}
maillog_file = {folder}/maillog
myhostname = relay.example.org
mydestination =
inet_interfaces = loopback-only
mynetworks = 127.0.0.0/8
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = {DOMAIN}
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = static:inbox/
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
smtpd_client_connection_rate_limit = 0
smtpd_reject_unlisted_recipient = no
smtpd_recipient_restrictions =
    check_recipient_access inline:{{ {{gone@{DOMAIN} = 550 5.1.1 there is no such mailbox}} }}
    permit_mynetworks reject
message_size_limit = 300000
smtpd_tls_security_level = may
smtpd_tls_chain_files = {folder}/server.pem
smtpd_client_event_limit_exceptions =
smtpd_client_connection_count_limit = {STRICT.connections if is_strict else 100}
smtpd_hard_error_limit = {STRICT.errors if is_strict else 1000}
"""
    )
    services = "\n".join(
        (
            f"127.0.0.1:{port} inet n - n - - smtpd",
            "cleanup unix n - n - 0 cleanup",
            "qmgr unix n - n 300 1 qmgr",
            "rewrite unix - - n - - trivial-rewrite",
            "bounce unix - - n - 0 bounce",
            "defer unix - - n - 0 bounce",
            "anvil unix - - n - 1 anvil",
            "error unix - - n - - error",
            "retry unix - - n - - error",
            "proxymap unix - - n - - proxymap",
            "tlsmgr unix - - n 1000? 1 tlsmgr",
            "virtual unix - n n - - virtual",
            "showq unix n - n - - showq",
            "postlog unix-dgram n - n - 1 postlogd",
            "flush unix n - n 1000? 0 flush",
        )
    )
    (config / "master.cf").write_text(services + "\n")
    # It makes the folders of the queue.
    subprocess.run(["postfix", "-c", str(config), "check"], check=False, capture_output=True)
    return [f"{daemons}/master", "-c", str(config), "-d"]


def _write_exim(folder: Path, port: int, is_strict: bool) -> list[str]:
    config, spool = folder / "exim.conf", folder / "spool"
    spool.mkdir()
    os.chown(spool, *_find_owner(OWNERS["exim"]))
    shutil.copy(folder / "server.pem", folder / "exim.pem")
    os.chown(folder / "exim.pem", *_find_owner(OWNERS["exim"]))
    config.write_text(
        f"""primary_hostname = relay.example.org
spool_directory = {spool}
log_file_path = {spool}/log-%s
domainlist local_domains = {DOMAIN}
acl_smtp_rcpt = acl_rcpt
acl_smtp_data = acl_data
message_size_limit = 300000
smtp_accept_max = {STRICT.connections if is_strict else 100}
smtp_accept_max_per_connection = {STRICT.mails if is_strict else 1000}
smtp_accept_queue_per_connection = 0
queue_run_max = 20
never_users =
deliver_drop_privilege = true
tls_advertise_hosts = *
tls_certificate = {folder}/exim.pem
pipelining_connect_advertise_hosts =
begin acl
acl_rcpt:
  deny local_parts = gone
       message = there is no such mailbox
  accept
acl_data:
  accept
begin routers
inbox:
  driver = accept
  domains = +local_domains
  transport = maildir
begin transports
maildir:
  driver = appendfile
  maildir_format
  directory = {folder}/mail/inbox
  create_directory = false
"""
    )
    program = find_program("exim4")
    assert program is not None
    return [program, "-C", str(config), "-bdf", "-q1m", "-oX", f"127.0.0.1.{port}", "-oP", f"{folder}/pid"]


def _write_opensmtpd(folder: Path, port: int, is_strict: bool) -> list[str]:
    config = folder / "smtpd.conf"
    config.write_text(
        f"""smtp max-message-size 300000
smtp limit max-mails {STRICT.mails if is_strict else 100000}
pki relay.example.org cert "{folder}/server.pem"
pki relay.example.org key "{folder}/server.pem"
table everyone {{ "@{DOMAIN}" = "nobody" }}
listen on 127.0.0.1 port {port} tls pki relay.example.org hostname relay.example.org
action "inbox" maildir "{folder}/mail/inbox" virtual <everyone>
match from any for rcpt-to "gone@{DOMAIN}" reject
match from any for domain "{DOMAIN}" action "inbox"
"""
    )
    program = find_program("smtpd")
    assert program is not None
    return [program, "-d", "-f", str(config)]


#: Who owns the Maildir.
OWNERS = {"postfix": "nobody", "exim": "Debian-exim", "opensmtpd": "nobody"}
PROGRAMS = {"postfix": "postfix", "exim": "exim4", "opensmtpd": "smtpd"}
PACKAGES = {"postfix": "postfix", "exim": "exim4-daemon-light", "opensmtpd": "opensmtpd"}
WRITERS = {"postfix": _write_postfix, "exim": _write_exim, "opensmtpd": _write_opensmtpd}

"""The words of docs/reliability.md."""

TOP = """# Reliability, measured

This page is written by `make chaos`, which kills the program a great many times and then asks the only witness that
counts: what the public of the pretended services saw. Figures of {day}{commit}, seed {seed}, {minutes} minutes in
all.

## What is promised

- **Nothing is lost.** Whatever was to go out has been seen, or is listed as *unknown* for you to decide; it is
  never just gone. A redirect that a reader got is counted, also when the program dies right after it. So is a
  reader's leaving and a report of a mail service, once it was acknowledged.
- **Nothing goes out twice by itself.** Only what you resend yourself may be there twice, and it is marked.
- **What is unknown is small.** A kill leaves unknown at most what was on the wire in that moment: one message on a
  channel with one voice, one mail for each connection to a mail server, one call for SendGrid (all readers in it).
- **You do nothing.** After any kill the program starts and goes on; what it knows for certain it settles by itself.

## What was measured

Each *boundary* is a commit to the database, a call over the network or a write to a file: {points} in all have a
name, and a test fails when a new one has none. The witness is the pretended services: Telegram, X, a mail server
asked by each of our two SMTP clients, and SendGrid.
"""

MATRIX = """
### Killed at each boundary

A day has a weekly letter and story after story. For each boundary that a day comes by there is a story, `kill -9`
the moment the program stands there, a start, and a second `kill -9` at another boundary while it recovers; then the
next story, so that each life finds what all the dead have left. Boundaries that come often are killed at a second
time, in the middle. Other days bring what boundaries need: services that ask for patience, a feed that is down, a
WordPress site, a broken template, lost answers, leases that end, deliveries that are late, readers who leave.
Commands (import, pause, backup, restore, move, upgrade from the oldest version and others; they know no engine) are
killed at theirs, typed again and killed again, and typed again. {cut}

| where | boundaries | kills | recovering | deliveries | lost | twice | unknown | clicks | clicks lost or doubled |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|
"""

UNREACHED = """
Boundaries that nobody was killed at:

| where | boundaries | why |
|---|---|---|
"""

RANDOM = """
### Killed at random

Stories come and readers click while processes are killed every few seconds, and on PostgreSQL one time in five the
database itself (`kill -9`, immediate stop, restart). *Back* is the time from a kill to the next message that the
public sees: half of the times, and the longest. New kills come before many recoveries end. A process that starts on
PostgreSQL believes only after ten seconds that another one is dead: where the only node seldom lives that long, a
source that a dead one was asking waits for up to five minutes, and its stories with it.

| where | nodes | minutes | kills | of the database | deliveries | lost | twice | unknown | clicks | back |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
"""

END = """
## Do it again

```
make chaos ARGS="--minutes {minutes} --seed {seed}"
```

`--only ledger` narrows it to boundaries with that in their name. A dozen of the kills are part of `make test`.

The other proofs have commands of their own: `make guards` removes each guard against a known disaster and sees its
test fail; `make test ARGS="tests/faults --long"` breaks the wire and the database in every way they have names for;
`make test ARGS="tests/simulation --long"` plays thousands of seeded days on a virtual clock; and
`make test ARGS="tests/walk/test_networks.py --long"` (Linux, as root) runs two machines in networks of their own,
kills one and pulls the cable of one.

## What is not covered

- **Power cuts.** The database is told to be on the disk before a message starts (SQLite with `synchronous=FULL`,
  PostgreSQL with `synchronous_commit=on`), and so is the record of what a list is about to get. The lines that say
  which readers of a list were reached are not synced one by one: after a power cut those of the last moments are
  *unknown*, never sent again by themselves. This was not tried by cutting power.
- **Disks that lie or lose data**, and file systems on other machines under SQLite, which is not supported.
- **The services themselves.** They are our sandboxes here, which follow their documents; how they behave when they
  break is tried with broken answers in tests/faults.
- **Several machines** are several processes with folders of their own on one machine here; their clocks agree.
"""

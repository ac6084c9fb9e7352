"""Is it new? Judges what a poll brought against what is known. Decides only; the poll step writes it down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from distributor.core.hold_words import find_hold_words
from distributor.core.post import Post, content_hash
from distributor.core.story_keys import identity_keys, normalise_link

__all__ = ["Known", "SourceStats", "Verdict", "identity_keys", "judge", "normalise_link"]

Kind = Literal["new", "changed", "same", "alias", "baseline", "held", "old", "released"]

FAR_FUTURE = timedelta(hours=24)
STALE_BEHIND_NEWEST = timedelta(days=7)
STALE = timedelta(days=365)
SMALLEST_BURST = 5
BURST_FACTOR = 3
#: What each kind of key proves when two of them disagree.
_WEIGHTS = {"entry": 9, "guid": 4, "link": 3, "title": 2}


@dataclass(frozen=True)
class Known:
    """A stored post as judging needs it.

    `content_hash` is the `Verdict.content_hash` stored last, never a hash of an enriched post. `held` is the
    `Verdict.reason` it is held for, "" when it is free. `is_elsewhere` when another source brought the story
    first: that one words it, and what this source says differently is no change. `seen_at` is when it was first
    seen.
    """

    post_id: int
    content_hash: str
    held: str = ""
    published_at: datetime | None = None
    is_elsewhere: bool = False
    seen_at: datetime | None = None


@dataclass(frozen=True)
class SourceStats:
    """What is usual for a source.

    `is_first_poll` until a poll has stored a post; `first_polled_at` when the first successful poll was, also an
    empty one. `median_new_per_poll` over the last polls that brought anything new. `newest_published_at` of the
    stored posts.
    """

    is_first_poll: bool = False
    first_polled_at: datetime | None = None
    median_new_per_poll: float = 0.0
    newest_published_at: datetime | None = None


@dataclass(frozen=True)
class Verdict:
    """What to do with one post.

    new        store; may go out, not before `not_before`
    baseline   store as history, never sent (the source's first poll)
    old        store as history, never sent (over a year old, or 7 days behind the newest known)
    held       store; an editor decides. `reason`: words, future, burst, ids-changed
    same       known, nothing differs; `post_id` None when it is a second listing of another post of this poll
    alias      known under other keys: store `keys`, send nothing
    changed    store a revision (and `keys`); with a `reason` (words, burst) the revision is held
    released   was held for its words or a far date and no longer is; store a revision too when `is_changed`

    `keys` are to be stored for this post: no other post has them. `not_before` is the publication time while it
    is still to come, also on posts that are known, or the end of the time in which a new story has to settle, if
    that is later. `note` is a sentence for the editor.
    """

    kind: Kind
    post: Post
    content_hash: str
    post_id: int | None = None
    keys: tuple[str, ...] = ()
    not_before: datetime | None = None
    reason: str = ""
    note: str = ""
    is_changed: bool = False


@dataclass
class _Entry:
    post: Post
    keys: tuple[str, ...]
    known: Known | None = None
    is_twin: bool = False
    has_only_title: bool = False


def judge(
    posts: Sequence[Post],
    known: Mapping[str, Known],
    stats: SourceStats,
    now: datetime,
    settle: timedelta = timedelta(),
) -> list[Verdict]:
    """One verdict for each post, in the same order. A story may go out `settle` after it was first seen.

    `posts` are as the source gave them, before article pages fill their gaps: only then do hashes of two polls
    compare. `known` maps keys of this source to stored posts; it must answer for every key of `identity_keys`.
    Rules: facts/reliability.md section 2, rows 4 to 6. Nothing is lost silently: what is neither known nor history
    is new or held.
    """
    entries = [_Entry(post, identity_keys(post)) for post in posts]
    _merge_twins(entries)
    _drop_shared_keys(entries)
    _recognise(entries, known)
    moved = _find_moved(entries, known)
    verdicts = [_judge_entry(entry, known, stats, now, settle, is_moved=moved) for entry in entries]
    return _brake(verdicts, stats)


def _merge_twins(entries: Iterable[_Entry]) -> None:
    """One story listed twice in one poll: same id and link, or same link and headline. The first one speaks."""
    seen: dict[tuple[str, ...], _Entry] = {}
    for entry in entries:
        marks = _twin_marks(entry)
        first = next((seen[mark] for mark in marks if mark in seen), None)
        if first:
            entry.is_twin = True
            first.keys = tuple(dict.fromkeys(first.keys + entry.keys))
        for mark in marks:
            seen.setdefault(mark, first or entry)


def _twin_marks(entry: _Entry) -> list[tuple[str, ...]]:
    guid, link, headline, whole = (_key_of(entry, kind) for kind in ("guid", "link", "headline", "entry"))
    marks: list[tuple[str, ...]] = [(whole,)]
    if link and guid:
        marks.append((guid, link))
    if link and headline:
        marks.append((headline, link))
    return marks


def _key_of(entry: _Entry, kind: str) -> str:
    return next((key for key in entry.keys if key.startswith(kind + ":")), "")


def _drop_shared_keys(entries: Sequence[_Entry]) -> None:
    """A key that two stories of one poll share (a repeated GUID, one link for all) tells nothing."""
    counts = Counter(key for entry in entries if not entry.is_twin for key in entry.keys)
    for entry in entries:
        entry.keys = () if entry.is_twin else tuple(key for key in entry.keys if counts[key] == 1)


def _recognise(entries: Sequence[_Entry], known: Mapping[str, Known]) -> None:
    """Give each entry its stored post. A post is recognised at most once: the stronger claim wins."""
    claims = []
    for index, entry in enumerate(entries):
        votes: Counter[int] = Counter()
        for key in entry.keys:
            if key in known and not _is_reused(key, entry, known):
                votes[known[key].post_id] += _WEIGHTS.get(key.partition(":")[0], 0)
        claims += [(-weight, index, post_id) for post_id, weight in votes.items() if weight]
    by_id = {stored.post_id: stored for stored in known.values()}
    taken: set[int] = set()
    for weight, index, post_id in sorted(claims):
        entry = entries[index]
        if entry.known is None and post_id not in taken:
            entry.known, entry.has_only_title = by_id[post_id], weight == -_WEIGHTS["title"]
            taken.add(post_id)


def _is_reused(key: str, entry: _Entry, known: Mapping[str, Known]) -> bool:
    """Whether an id that is known now stands on another story: other link, other headline, another day."""
    then, now = known[key].published_at, entry.post.published_at
    if not key.startswith("guid:") or not entry.post.url or not then or not now or abs(now - then) < FAR_FUTURE:
        return False
    return all(
        known[other].post_id != known[key].post_id for other in entry.keys if other != key and other in known
    )


def _find_moved(entries: Sequence[_Entry], known: Mapping[str, Known]) -> bool:
    """Whether the feed changed its ids and links as a whole: of more than half only the headlines are known."""
    taken = {entry.known.post_id for entry in entries if entry.known}
    stories = [entry for entry in entries if not entry.is_twin]
    moved = sum(1 for entry in stories if entry.has_only_title or _has_known_headline(entry, known, taken))
    return moved >= 3 and moved * 2 > len(stories)


def _has_known_headline(entry: _Entry, known: Mapping[str, Known], taken: set[int]) -> bool:
    stored = known.get(_key_of(entry, "headline"))
    return entry.known is None and stored is not None and stored.post_id not in taken


def _judge_entry(
    entry: _Entry,
    known: Mapping[str, Known],
    stats: SourceStats,
    now: datetime,
    settle: timedelta,
    *,
    is_moved: bool,
) -> Verdict:
    keys = _keys_to_store(entry, known)
    hours = _find_hours(entry, now, settle)
    verdict = Verdict("new", entry.post, content_hash(entry.post), keys=keys, not_before=max(hours, default=None))
    if entry.is_twin:
        return replace(verdict, kind="same", note="listed twice in this poll")
    if entry.known:
        return _judge_known(verdict, entry.known, now)
    return _judge_unknown(verdict, stats, now, is_moved=is_moved)


def _find_hours(entry: _Entry, now: datetime, settle: timedelta) -> list[datetime]:
    """What a story has to wait for: its own hour, the end of its settling. Nothing that has come, and no settling
    anew of what an editor let go."""
    published, seen_at = entry.post.published_at, now
    if entry.known:
        seen_at = min(entry.known.seen_at or now, now)
    hours = [hour for hour in (published, seen_at + settle) if hour and hour > now]
    is_waiting = not entry.known or entry.known.held or (published is not None and published > now)
    return hours if is_waiting else []


def _keys_to_store(entry: _Entry, known: Mapping[str, Known]) -> tuple[str, ...]:
    """What nobody has yet. The `entry:` key is kept only where nothing else would recognise the story again."""
    own = entry.known.post_id if entry.known else None
    usable = [key for key in entry.keys if key not in known or known[key].post_id == own]
    has_better = any(key.startswith(("guid:", "link:", "title:")) for key in usable)
    fresh = [key for key in usable if key not in known]
    return tuple(key for key in fresh if not (has_better and key.startswith("entry:")))


def _judge_known(verdict: Verdict, stored: Known, now: datetime) -> Verdict:
    is_changed = verdict.content_hash != stored.content_hash and not stored.is_elsewhere
    verdict = replace(verdict, post_id=stored.post_id, is_changed=is_changed)
    held = _hold(verdict.post, now)
    if stored.held in ("words", "future") and not held[0] and not stored.is_elsewhere:
        return replace(verdict, kind="released", note="what it was held for is gone")
    if is_changed:
        reason, note = held if held[0] == "words" else ("", "")
        return replace(verdict, kind="changed", reason=reason, note=note)
    if verdict.keys:
        return replace(verdict, kind="alias", note="known under another id or address")
    return replace(verdict, kind="same")


def _judge_unknown(verdict: Verdict, stats: SourceStats, now: datetime, *, is_moved: bool) -> Verdict:
    post = verdict.post
    if stats.is_first_poll and _is_history(post, stats):
        return replace(verdict, kind="baseline", not_before=None, note="was there when the source was first read")
    if _is_old(post, stats, now):
        return replace(verdict, kind="old", not_before=None, note="too old to be news")
    reason, note = _hold(post, now)
    if is_moved and not reason:
        reason, note = "ids-changed", "the feed changed the ids of most of its stories at once"
    if reason:
        return replace(verdict, kind="held", reason=reason, note=note)
    return verdict


def _is_history(post: Post, stats: SourceStats) -> bool:
    """A feed that was empty at first has no history: what is dated after that first look is new."""
    since = stats.first_polled_at
    return since is None or post.published_at is None or post.published_at <= since


def _is_old(post: Post, stats: SourceStats, now: datetime) -> bool:
    published = post.published_at
    if published is None:
        return False
    newest = min(stats.newest_published_at or published, now)
    return published < now - STALE or published < newest - STALE_BEHIND_NEWEST


def _hold(post: Post, now: datetime) -> tuple[str, str]:
    words = find_hold_words(post)
    if words:
        return "words", f"says {words!r}"
    if post.published_at and post.published_at > now + FAR_FUTURE:
        return "future", f"is dated {post.published_at:%d %B %Y %H:%M} UTC, more than a day ahead"
    return "", ""


def _brake(verdicts: list[Verdict], stats: SourceStats) -> list[Verdict]:
    """More new (or changed) stories at once than this source ever brings are held, all of them."""
    limit = max(SMALLEST_BURST, BURST_FACTOR * stats.median_new_per_poll)
    for kind, word in (("new", "new"), ("changed", "changed")):
        count = sum(1 for verdict in verdicts if verdict.kind == kind)
        if count > limit:
            note = f"{count} {word} stories came at once, at most {limit:g} are usual"
            verdicts = [_hold_burst(verdict, note) if verdict.kind == kind else verdict for verdict in verdicts]
    return verdicts


def _hold_burst(verdict: Verdict, note: str) -> Verdict:
    kind: Kind = "held" if verdict.kind == "new" else verdict.kind
    return replace(verdict, kind=kind, reason=verdict.reason or "burst", note=verdict.note or note)

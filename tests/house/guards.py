"""The guards against the known disasters of wrong sending, each with the one change that removes it and a test that
must fail without it. `make guards` removes them one after the other (tools/prove_guards.py).

Rows are those of the table in docs/guarantees.md, "Guards".
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Guard:
    """`text` stands exactly once in `file` (below distributor/); `replacement` is the program without the guard."""

    row: int
    what: str
    file: str
    text: str
    replacement: str
    test: str


_SEND = "tests/pipeline/test_send.py"
_LAST_LOOK = "tests/pipeline/test_send_rechecks.py"
_LEDGER = "tests/storage/test_ledger.py"
_IDENTITY = "tests/core/test_identity.py"
_DELIVERY = "tests/core/test_delivery.py"

GUARDS = (
    Guard(
        1,
        "what was on the wire at a kill is unknown, not sent again",
        "storage/recovery.py",
        'if row.state == "sending" or proof == "started":',
        'if proof == "started":',
        f"{_LEDGER}::test_a_sending_delivery_of_a_dead_process_becomes_unknown_and_stays_so[sqlite]",
    ),
    Guard(
        1,
        "`sending` is committed before the first byte",
        "pipeline/send.py",
        "return len(self._lane.ledger.start(delivery_ids, self._lane.fence, now)) == len(delivery_ids)",
        "return True",
        f"{_LAST_LOOK}::test_a_voice_is_on_record_before_its_first_byte[sqlite]",
    ),
    Guard(
        1,
        "the send journal has a line before each mail",
        "pipeline/send.py",
        "self._lane.journal.note_started(delivery_ids)",
        "pass",
        f"{_SEND}::test_a_kill_in_the_middle_of_a_batch_leaves_only_what_was_on_the_wire_unknown[sqlite]",
    ),
    Guard(
        1,
        "only the holder of the fence may settle",
        "storage/settling.py",
        "return and_(delivery.c.fence == fence, or_(is_claimed, is_sending))",
        "return or_(is_claimed, is_sending)",
        f"{_LEDGER}::test_only_the_holder_of_the_fence_may_start_and_settle[sqlite]",
    ),
    Guard(
        1,
        "nothing starts twice",
        "storage/ledger.py",
        'delivery.c.id.in_(delivery_ids),\n                    delivery.c.state == "claimed",\n',
        "delivery.c.id.in_(delivery_ids),\n",
        "tests/storage/test_ledger_edges.py::test_nothing_starts_twice[sqlite]",
    ),
    Guard(
        1,
        "an answer to an earlier try settles no later one",
        "storage/settling.py",
        'is_sending = and_(delivery.c.state == "sending", delivery.c.attempts == number)',
        'is_sending = delivery.c.state == "sending"',
        "tests/storage/test_ledger_edges.py::test_an_answer_to_an_earlier_try_changes_nothing_of_a_later_one[sqlite]",
    ),
    Guard(
        2,
        "an answer nobody understands is unknown, never queued again",
        "core/delivery.py",
        'return Settlement("unknown", str(outcome)',
        'return Settlement("queued", str(outcome)',
        f"{_DELIVERY}::test_what_may_have_gone_out_is_never_simply_queued_again",
    ),
    Guard(
        2,
        "a lost answer of X after the headers is unknown, not an outage",
        "channels/x/channel.py",
        "if not gate.was_asked:",
        "if True:",
        "tests/channels/x/test_x_send.py::test_no_answer_in_time_is_unknown",
    ),
    Guard(
        2,
        "a connection that broke after the request began is unknown, not an outage, on Telegram",
        "channels/telegram/channel.py",
        "if exchange.is_provably_unsent:",
        "if True:",
        f"{_SEND}::test_each_answer_leads_to_its_state_and_nobody_sees_a_message_twice[lost-after-telegram-sqlite]",
    ),
    Guard(
        2,
        "no library waits and tries again by itself",
        "channels/x/adapter.py",
        "wait_on_rate_limit=False,",
        "wait_on_rate_limit=True,",
        "tests/channels/x/test_x_send.py::test_the_library_does_not_try_again",
    ),
    Guard(
        2,
        "only a person or evidence moves an unknown: a presumed one is not sent again",
        "storage/decisions.py",
        'may_be = ("unknown", "presumed") if decision == "sent" else ("unknown",)',
        'may_be = ("unknown", "presumed")',
        "tests/pipeline/test_doubts.py::test_what_was_presumed_is_not_sent_again_by_a_decision_that_comes_too_late"
        "[sqlite]",
    ),
    Guard(
        2,
        "what nobody decides about ends as presumed",
        "storage/recovery.py",
        "presume_overdue(self._database, now)",
        "pass",
        "tests/pipeline/test_doubts.py::"
        "test_what_nobody_decides_about_is_presumed_when_its_time_is_over_and_never_sent_again[sqlite]",
    ),
    Guard(
        3,
        "an edition is complete only when its sums agree, and alarms when not",
        "storage/freezing.py",
        "if sum(sums.values()) != (row.audience or 0):",
        "if False:",
        f"{_LAST_LOOK}::test_an_edition_whose_sums_disagree_is_not_complete_and_raises_one_alarm[sqlite-lost]",
    ),
    Guard(
        3,
        "an edition with an unknown is not complete",
        "storage/freezing.py",
        "('queued', 'claimed', 'sending', 'held', 'unknown'))",
        "('queued', 'claimed', 'sending', 'held'))",
        f"{_LEDGER}::test_an_edition_with_an_unknown_is_not_complete[sqlite]",
    ),
    Guard(
        4,
        "what a feed shows at first is history",
        "core/identity.py",
        "if stats.is_first_poll and _is_history(post, stats):",
        "if False:",
        f"{_IDENTITY}::test_the_first_poll_is_history_and_sends_nothing",
    ),
    Guard(
        4,
        "a burst is held",
        "core/identity.py",
        "if count > limit:",
        "if False:",
        f"{_IDENTITY}::test_a_thousand_new_stories_at_once_are_held_all_of_them",
    ),
    Guard(
        4,
        "a GUID with http and one with https are one",
        "core/story_keys.py",
        'return re.sub(r"^https?://(www\\.)?", "", guid.strip(), flags=re.IGNORECASE)',
        "return guid.strip()",
        f"{_IDENTITY}::test_a_guid_that_flips_between_http_and_https_is_one",
    ),
    Guard(
        4,
        "a feed that moves house sends nothing",
        "core/identity.py",
        "if is_moved and not reason:",
        "if False:",
        f"{_IDENTITY}::test_ids_that_are_dealt_anew_follow_link_and_headline",
    ),
    Guard(
        4,
        "an old story that turns up is history",
        "core/identity.py",
        "if _is_old(post, stats, now):",
        "if False:",
        f"{_IDENTITY}::test_an_old_story_that_turns_up_is_history",
    ),
    Guard(
        5,
        "words that say 'not yet' hold a story",
        "core/identity.py",
        "    if words:\n",
        "    if False:\n",
        f"{_IDENTITY}::test_hold_words_hold_and_their_going_releases",
    ),
    Guard(
        5,
        "a story that was held meanwhile is looked for at the claim",
        "storage/ledger.py",
        "if not hold_changed_bytes(connection, row, now) and not hold_withdrawn(connection, row, now):",
        "if not hold_changed_bytes(connection, row, now):",
        f"{_LAST_LOOK}::test_a_letter_stops_at_the_next_batch_and_the_others_go_on[sqlite]",
    ),
    Guard(
        5,
        "and once more in the commit before the first byte",
        "storage/ledger.py",
        "            hold_withdrawn(connection, whole, now, ids=delivery_ids)\n",
        "",
        f"{_LAST_LOOK}::test_a_story_that_is_withdrawn_between_claim_and_first_byte_is_held[sqlite]",
    ),
    Guard(
        5,
        "a pause wins over a claim already made",
        "storage/ledger.py",
        "if whole is None or is_paused(connection, whole.channel, is_binding=True):",
        "if whole is None:",
        f"{_LEDGER}::test_pause_wins_over_a_claim_already_made[sqlite]",
    ),
    Guard(
        5,
        "a pause stops a list in the middle of a batch",
        "storage/pauses.py",
        "self._is_paused = self._name in self._decisions.list_paused()",
        "self._is_paused = False",
        f"{_SEND}::test_a_pause_in_the_middle_of_a_batch_stops_before_the_next_letter[sqlite]",
    ),
    Guard(
        6,
        "a date far ahead holds a story",
        "core/identity.py",
        "if post.published_at and post.published_at > now + FAR_FUTURE:",
        "if False:",
        f"{_IDENTITY}::test_a_story_from_the_future_waits_or_is_held",
    ),
    Guard(
        7,
        "a wall time that is skipped or shown twice is due once",
        "core/wall_time.py",
        "if after <= before:",
        "if True:",
        "tests/core/test_schedule.py::test_a_wall_time_is_due_once_whatever_the_clocks_do",
    ),
    Guard(
        7,
        "one due time makes one edition, however many plan it",
        "storage/editions.py",
        "                insert_new(connection, edition).values(_edition_row(plan, now)).returning(edition.c.id)\n",
        '                insert_new(connection, edition).values({**_edition_row(plan, now), "key": str(now) + '
        "secrets.token_hex(4)}).returning(edition.c.id)\n",
        "tests/storage/test_editions.py::test_one_due_time_makes_one_edition_also_of_other_stories[sqlite]",
    ),
    Guard(
        8,
        "nothing goes out after its hour",
        "storage/ledger.py",
        "            or_(edition.c.late_after.is_(None), edition.c.late_after >= now),\n",
        "",
        f"{_LAST_LOOK}::test_nothing_goes_out_after_its_hour_even_before_anybody_held_it[sqlite]",
    ),
    Guard(
        8,
        "what is late is held for a person",
        "storage/recovery.py",
        "        self.hold_late(now)\n",
        "",
        f"{_LAST_LOOK}::test_a_service_that_is_busy_for_ever_ends_with_the_hour_and_not_in_a_loop[sqlite]",
    ),
    Guard(
        9,
        "a test goes only to places that are named in the configuration",
        "pipeline/send_test.py",
        "if address not in allowed:",
        "if False:",
        "tests/cli/test_walk.py::test_a_test_can_go_nowhere_else",
    ),
    Guard(
        9,
        "who left the list after the freeze is skipped",
        "storage/audience.py",
        "if row[0] in members and row[2] not in barred}",
        "if row[0] in members}",
        f"{_LEDGER}::test_who_left_the_list_after_the_freeze_is_skipped[sqlite]",
    ),
    Guard(
        9,
        "who leaves in the middle of a batch gets no letter",
        "pipeline/send.py",
        "self._gone = frozenset(self._lane.ledger.find_gone(waiting)) if waiting else frozenset()",
        "self._gone = frozenset()",
        f"{_LAST_LOOK}::test_who_leaves_in_the_middle_of_a_batch_gets_no_letter[sqlite]",
    ),
    Guard(
        9,
        "words that changed after the freeze go to nobody",
        "storage/rechecks.py",
        'if hash_content(whole.content or "") == whole.content_hash:',
        "if True:",
        f"{_LAST_LOOK}::test_the_bytes_are_compared_at_every_try[sqlite]",
    ),
    Guard(
        10,
        "a copy of the database claims nothing",
        "storage/recorded.py",
        " or read_safe_mode(self._database):\n",
        ":\n",
        "tests/storage/test_stuck.py::test_in_safe_mode_what_waits_is_claimed_by_nobody[sqlite]",
    ),
    Guard(
        10,
        "and starts nothing that was claimed before",
        "storage/recorded.py",
        "        if read_safe_mode(self._database):\n            return []\n",
        "",
        "tests/storage/test_instance.py::test_safe_mode_stops_the_claim_and_the_start[sqlite]",
    ),
    Guard(
        10,
        "opening a channel lets go only what its own closing held",
        "storage/resuming.py",
        "            delivery.c.reason.startswith(CLOSED, autoescape=True),\n",
        "",
        "tests/storage/test_resuming.py::test_resuming_lets_go_only_what_the_channel_s_closing_held[sqlite]",
    ),
    Guard(
        11,
        "a pace lets no more go than it allows",
        "storage/paces.py",
        "free = limit.count - len(recent)",
        "free = limit.count",
        f"{_LAST_LOOK}::test_a_burst_of_stories_waits_for_its_turn_behind_the_cap[sqlite]",
    ),
    Guard(
        11,
        "an X account has a cap against bursts",
        "channels/x/channel.py",
        ", settings.cap.pace(settings.name))",
        ",)",
        "tests/pipeline/test_doubts.py::test_a_voice_has_a_cap_against_bursts",
    ),
    Guard(
        11,
        "a Telegram channel has a cap against bursts",
        "channels/telegram/channel.py",
        ", settings.cap.pace(settings.name))",
        ",)",
        "tests/pipeline/test_doubts.py::test_a_voice_has_a_cap_against_bursts",
    ),
    Guard(
        12,
        "outages use up a delivery's tries for life",
        "core/delivery.py",
        "if attempt >= attempts:",
        "if False:",
        f"{_DELIVERY}::test_after_its_last_try_an_outage_is_a_failure_that_says_how_often",
    ),
    Guard(
        12,
        "five refusals in a row stop a voice",
        "core/breaker.py",
        "if recent.endswith(REFUSED * IN_A_ROW):",
        "if False:",
        f"{_LAST_LOOK}::test_a_voice_stops_after_five_refusals_in_a_row[sqlite]",
    ),
    Guard(
        12,
        "more than a fifth refused stops a channel",
        "core/breaker.py",
        "if recent.count(REFUSED) > MOST_REFUSED:",
        "if False:",
        "tests/storage/test_resuming.py::test_a_list_is_stopped_by_more_than_a_fifth[sqlite-11-True]",
    ),
    Guard(
        12,
        "a relay that knows nobody is stopped before the whole list is written off",
        "core/breaker.py",
        "if recent.count(GONE) > MOST_GONE:",
        "if False:",
        f"{_LAST_LOOK}::test_a_relay_that_knows_nobody_does_not_cost_the_whole_list[sqlite]",
    ),
    Guard(
        12,
        "and in the middle of a batch",
        "pipeline/send.py",
        "if self._is_broken or not self._lane.may_start() or now > self._last_start:",
        "if not self._lane.may_start() or now > self._last_start:",
        f"{_LAST_LOOK}::test_a_relay_that_refuses_everything_is_stopped_before_the_batch_is_used_up[sqlite]",
    ),
)

"""The messages of a sandboxed chat: as the service keeps them, as its API tells them, as a reader sees them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from distributor.channels.telegram.sandbox_html import cut_units, render_html
from distributor.channels.telegram.sandbox_rules import Words
from distributor.core.sandbox import Sighting


@dataclass(frozen=True)
class Post:
    """One message of a chat, as the service keeps it."""

    id: int
    at: float
    words: Words
    photo: str = ""
    buttons: tuple[tuple[dict[str, Any], ...], ...] = ()
    preview: dict[str, Any] = field(default_factory=dict)
    silent: bool = False
    edited: bool = False
    raw: bytes = b""


@dataclass
class Chat:
    id: int
    name: str
    posts: dict[int, Post] = field(default_factory=dict)
    last_id: int = 0
    sent_at: list[float] = field(default_factory=list)

    def describe(self) -> dict[str, Any]:
        if self.id > 0:
            return {"id": self.id, "type": "private", "first_name": self.name}
        return {"id": self.id, "type": "channel", "title": self.name, "username": self.name.lstrip("@")}


def freeze_rows(rows: list[list[dict[str, Any]]]) -> tuple[tuple[dict[str, Any], ...], ...]:
    return tuple(tuple(row) for row in rows)


def describe_post(chat: Chat, post: Post) -> dict[str, Any]:
    """The Message object of the API."""
    told: dict[str, Any] = {"message_id": post.id, "chat": chat.describe(), "date": int(post.at)}
    if post.photo:
        told["photo"] = [{"file_id": f"f{post.id}", "file_unique_id": f"u{post.id}", "width": 1280, "height": 720}]
        told["caption"] = post.words.text
        told["caption_entities"] = post.words.entities
    else:
        told["text"] = post.words.text
        told["entities"] = post.words.entities
    if post.preview:
        told["link_preview_options"] = post.preview
    if post.buttons:
        told["reply_markup"] = {"inline_keyboard": [list(row) for row in post.buttons]}
    if post.edited:
        told["edit_date"] = int(post.at)
    return told


def sight_post(chat: Chat, post: Post) -> Sighting:
    text, entities = post.words.text, post.words.entities
    return Sighting(
        at=post.at,
        recipient=chat.name,
        text=text,
        html=render_html(text, entities),
        image=post.photo,
        links=tuple(link for entity in entities if (link := _link_of(text, entity))),
        buttons=tuple((button["text"], button.get("url", "")) for row in post.buttons for button in row),
        receipt=f"{chat.id}/{post.id}",
        edited=post.edited,
        raw=post.raw,
    )


def _link_of(text: str, entity: dict[str, Any]) -> str:
    return str(entity.get("url", "")) or (cut_units(text, entity) if entity["type"] == "url" else "")

"""What must be filled in for a feed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from distributor.sources.settings import Address, SourceSettings


class Settings(SourceSettings):
    kind: Literal["feed"] = "feed"
    url: Annotated[Address, Field(description="address of the RSS, Atom or JSON feed")]
    section: Annotated[str, Field(max_length=100, description="section of entries that name none")] = ""
    enrich: Annotated[bool, Field(description="read article pages to fill what the feed leaves out")] = True
    max_items: Annotated[int, Field(ge=1, le=5000, description="entries read of one feed, from its top")] = 500

"""What must be filled in for a WordPress site."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from distributor.sources.settings import Address, SourceSettings


class Settings(SourceSettings):
    kind: Literal["wordpress"] = "wordpress"
    url: Annotated[Address, Field(description="home page of the site, or its /wp-json/ address")]
    section: Annotated[str, Field(max_length=100, description="section of posts that are in no category")] = ""

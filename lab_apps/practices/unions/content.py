"""The article's content of a post, an article or a video, and what is proposed for it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Article(BaseModel):
    """All of it is optional: any object fits."""

    text: str | None = None
    extra: str | None = None


class Video(BaseModel):
    """As the article, and an id that must be there."""

    video_id: int
    text: str | None = None
    extra: str | None = None


class StrictArticle(Article):
    """With no other keys."""

    model_config = ConfigDict(extra="forbid")


class StrictVideo(Video):
    """With no other keys."""

    model_config = ConfigDict(extra="forbid")


class KindOfArticle(Article):
    """Says what it is."""

    kind: Literal["article"]


class KindOfVideo(Video):
    """Says what it is."""

    kind: Literal["video"]


Content: TypeAlias = Annotated[KindOfArticle | KindOfVideo, Field(discriminator="kind")]


class Song(BaseModel):
    """Nothing tells it from a `Book` that has a title."""

    title: str | None = None
    seconds: int | None = None


class Book(BaseModel):
    """Nothing tells it from a `Song` that has a title."""

    title: str | None = None
    pages: int | None = None


class KindOfSong(Song):
    """Says what it is."""

    kind: Literal["song"]


class KindOfBook(Book):
    """Says what it is."""

    kind: Literal["book"]


class StrictSong(Song):
    """With no other keys."""

    model_config = ConfigDict(extra="forbid")


class StrictBook(Book):
    """With no other keys."""

    model_config = ConfigDict(extra="forbid")


class Colour(StrEnum):
    """JSON writes its member as a string."""

    RED = "red"


class Exact(BaseModel):
    """The article's check that only valid fields are there: the set of keys must be the fields."""

    @model_validator(mode="before")
    @classmethod
    def only_its_fields(cls, value: dict[str, Any]) -> dict[str, Any]:
        """Raise ValueError where keys are missing, also optional ones, or there are others."""
        if set(value) != set(cls.model_fields):
            raise ValueError(f"the keys are {set(value)}")
        return value


class ExactArticle(Exact, Article):
    """An article with that check."""


class ExactVideo(Exact, Video):
    """A video with that check."""

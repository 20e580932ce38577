"""The same in Pydantic 1, which Pydantic 2 has inside; `WHY_NOT` says where it can't be used."""

from __future__ import annotations

import warnings
from typing import Any

WHY_NOT = ""

try:
    with warnings.catch_warnings():
        # There are releases which Python 3.14 imports with a warning, and which then don't work.
        warnings.simplefilter("error")
        from pydantic import v1

    class Article(v1.BaseModel):
        """All of it is optional: any object fits."""

        text: str | None = None
        extra: str | None = None

    class Video(v1.BaseModel):
        """As the article, and an id that must be there."""

        video_id: int
        text: str | None = None
        extra: str | None = None

    class Song(v1.BaseModel):
        """Nothing tells it from a `Book` that has a title."""

        title: str | None = None
        seconds: int | None = None

    class Book(v1.BaseModel):
        """Nothing tells it from a `Song` that has a title."""

        title: str | None = None
        pages: int | None = None

    class Exact(v1.BaseModel):
        """The article's check that only valid fields are there."""

        @v1.root_validator(pre=True)
        def only_its_fields(cls, values: dict[str, Any]) -> dict[str, Any]:
            """Raise ValueError where keys are missing, also optional ones, or there are others."""
            if set(values) != set(cls.__fields__):
                raise ValueError(f"the keys are {set(values)}")
            return values

    class ExactArticle(Exact, Article):
        """An article with that check."""

    class ExactVideo(Exact, Video):
        """A video with that check."""

except Exception as error:
    WHY_NOT = f"{type(error).__name__}: {error}"


def post(annotation: Any, *, smart: bool = False) -> Any:
    """A model with one field, `content`, of that type. Raises RuntimeError where `WHY_NOT`."""
    if WHY_NOT:
        raise RuntimeError(f"pydantic.v1 can't be used here: {WHY_NOT}")
    config = type("Config", (v1.BaseConfig,), {"smart_union": smart})
    return v1.create_model("Post", __config__=config, content=(annotation, ...))


def errors(annotation: Any, content: Any) -> list[str]:
    """The types of the errors that such a post raises with that content; [] for none."""
    try:
        post(annotation)(content=content)
    except v1.ValidationError as error:
        return [one["type"] for one in error.errors()]
    return []

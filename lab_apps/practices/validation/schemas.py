"""The article's profile as one would write it today, and what is proposed against the 500s."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, EmailStr, Field, HttpUrl, StringConstraints


class MusicBand(StrEnum):
    """The bands there are to like."""

    AEROSMITH = "AEROSMITH"
    QUEEN = "QUEEN"
    AC_DC = "AC/DC"


class Profile(BaseModel):
    """A user's profile. Every field is validated: the first six are the article's."""

    first_name: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    username: Annotated[
        str,
        StringConstraints(
            pattern=r"^[A-Za-z0-9_-]+$", to_lower=True, strip_whitespace=True, max_length=40
        ),
    ]
    email: EmailStr
    age: Annotated[int, Field(ge=18)]
    favorite_band: MusicBand | None = None
    website: HttpUrl | None = None
    visits: Annotated[int, Field(ge=0)] = 0
    score: Annotated[float, Field(ge=0)] = 0.0
    bio: Annotated[str, StringConstraints(max_length=500)] | None = None


# What the columns hold: integer, bigint, and text, in which Postgres has no NUL.
Int4 = Annotated[int, Field(le=2**31 - 1)]
Int8 = Annotated[int, Field(le=2**63 - 1)]
Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]


class Bounded(Profile):
    """Integers no larger than their columns are."""

    age: Annotated[Int4, Field(ge=18)]
    visits: Annotated[Int8, Field(ge=0)] = 0


class WithoutNul(Profile):
    """Text that a text column takes."""

    first_name: Annotated[Text, StringConstraints(min_length=1, max_length=128)]
    bio: Annotated[Text, StringConstraints(max_length=500)] | None = None


class Finite(Profile):
    """No NaN and no infinity."""

    model_config = ConfigDict(allow_inf_nan=False)


class Strict(Profile):
    """No conversions: `"20"` and `true` are no numbers."""

    model_config = ConfigDict(strict=True)


class StrictNumbers(Profile):
    """No conversions to numbers; texts become what they say as before."""

    age: Annotated[int, Field(ge=18, strict=True)]
    visits: Annotated[int, Field(ge=0, strict=True)] = 0
    score: Annotated[float, Field(ge=0, strict=True)] = 0.0


class Forbidding(Profile):
    """No keys that aren't fields."""

    model_config = ConfigDict(extra="forbid")


class Storable(WithoutNul):
    """What Postgres takes."""

    age: Annotated[Int4, Field(ge=18)]
    visits: Annotated[Int8, Field(ge=0)] = 0


class Safe(Storable):
    """What Postgres takes and JSON can say; numbers are numbers, and keys are fields."""

    model_config = ConfigDict(allow_inf_nan=False, extra="forbid")

    age: Annotated[Int4, Field(ge=18, strict=True)]
    visits: Annotated[Int8, Field(ge=0, strict=True)] = 0
    score: Annotated[float, Field(ge=0, strict=True)] = 0.0

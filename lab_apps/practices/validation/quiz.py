"""Sixteen bodies: which are accepted, which get 422, and which 500? And one with all fields."""

from __future__ import annotations

# A profile with every field, as JSON can say it.
COMPLETE = {
    "first_name": "Ada",
    "username": "ada",
    "email": "ada@example.org",
    "age": 20,
    "favorite_band": "QUEEN",
    "website": "https://example.org",
    "visits": 1,
    "score": 1.5,
    "bio": "Counts.",
}
VALID = b'{"first_name":"Ada","username":"ada","email":"ada@example.org","age":20}'

# By what in them is of interest; all else in them is as in VALID.
BODIES = {
    "NaN": b"NaN",
    '{"x":NaN}': b'{"x":NaN}',
    '{"x":NaN': b'{"x":NaN',
    '"age":NaN': b'{"first_name":"Ada","username":"ada","email":"ada@example.org","age":NaN}',
    '"age":1e400': b'{"first_name":"Ada","username":"ada","email":"ada@example.org","age":1e400}',
    '"age":true': b'{"first_name":"Ada","username":"ada","email":"ada@example.org","age":true}',
    '"age":"1_000"': (
        b'{"first_name":"Ada","username":"ada","email":"ada@example.org","age":"1_000"}'
    ),
    '"age":2147483648': (
        b'{"first_name":"Ada","username":"ada","email":"ada@example.org","age":2147483648}'
    ),
    '"age":15,"age":20': (
        b'{"first_name":"Ada","username":"ada","email":"ada@example.org","age":15,"age":20}'
    ),
    '"visits":9223372036854775808': (
        b'{"first_name":"Ada","username":"ada","email":"ada@example.org","age":20,'
        b'"visits":9223372036854775808}'
    ),
    '"score":1e400': (
        b'{"first_name":"Ada","username":"ada","email":"ada@example.org","age":20,"score":1e400}'
    ),
    '"score":"nan"': (
        b'{"first_name":"Ada","username":"ada","email":"ada@example.org","age":20,"score":"nan"}'
    ),
    '"first_name":"\\ud800"': (
        b'{"first_name":"\\ud800","username":"ada","email":"ada@example.org","age":20}'
    ),
    '"first_name":"\\u200b"': (
        b'{"first_name":"\\u200b","username":"ada","email":"ada@example.org","age":20}'
    ),
    '"bio":"a\\u0000b"': (
        b'{"first_name":"Ada","username":"ada","email":"ada@example.org","age":20,'
        b'"bio":"a\\u0000b"}'
    ),
    '"website":"http:example.org"': (
        b'{"first_name":"Ada","username":"ada","email":"ada@example.org","age":20,'
        b'"website":"http:example.org"}'
    ),
}

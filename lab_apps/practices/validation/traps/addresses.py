"""Addresses of the web and of people: what is taken for one, and what comes out."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin

import psycopg
from fastapi import APIRouter
from pydantic import AnyUrl, EmailStr, HttpUrl, NameEmail, TypeAdapter, ValidationError

from lab_apps.practices.validation.traps import pydantic1
from lab_apps.practices.validation.traps.values import Form, Row, add, legible, model_of, value_of

router = APIRouter(prefix="/traps/addresses")

TYPES: dict[str, Any] = {"AnyUrl": AnyUrl, "HttpUrl": HttpUrl, "EmailStr": EmailStr}
TYPES["NameEmail"] = NameEmail
for name, kind in TYPES.items():
    add(router, f"/{name}", model_of(kind))

# What is sent as a URL, and what an HttpUrl should be: the same text, or 422.
URLS = {
    "http://example.org": "http://example.org",
    "http:example.org": "422",
    r"http:\\example.org\a": "422",
    "http://exa\tmple.org": "422",
    "http://example.org/a/../b": "http://example.org/a/../b",
    "http://münchen.de": "http://münchen.de",
    "http://user:pw@example.org/": "422",
    "http://localhost/": "422",
    "http://2130706433": "422",
    "javascript:alert(1)": "422",
    "file:///etc/passwd": "422",
}
# What is sent as an e-mail address, and what should be stored: the same text, or 422.
EMAILS = {
    "ada@no-such-domain.zzzz": "422",
    "Ada <ada@example.org>": "422",
    '"Ada L" <ada@example.org>': "422",
    " ada@example.org ": "422",
    "Ada@EXAMPLE.org": "Ada@EXAMPLE.org",
    "ada@xn--mnchen-3ya.de": "ada@xn--mnchen-3ya.de",
    "ada@ｅxample.org": "422",
    f"{'a' * 65}@example.org": "422",
    "ada@localhost": "422",
    "ada@example.org\n": "422",
}


def rows(sent: dict[str, str]) -> dict[str, Row]:
    """Bodies by what is sent in them."""
    return {legible(text): ("", value_of(json.dumps(text))) for text in sent}


def meant(sent: dict[str, str]) -> dict[str, str]:
    """What should come out, as `shown`, by the same text."""
    return {legible(text): legible(expected) for text, expected in sent.items()}


def version1(name: str) -> Callable[[str, bytes], str]:
    """The type of that name in Pydantic 1."""
    return lambda _, body: pydantic1.outcome("value", lambda v1: getattr(v1, name), body)


URL_FORMS: dict[str, Form] = {
    "Pydantic 1, HttpUrl": version1("HttpUrl"),
    "2, HttpUrl": "/traps/addresses/HttpUrl",
    "2, AnyUrl": "/traps/addresses/AnyUrl",
}
EMAIL_FORMS: dict[str, Form] = {
    "Pydantic 1, EmailStr": version1("EmailStr"),
    "2, EmailStr": "/traps/addresses/EmailStr",
    "2, NameEmail": "/traps/addresses/NameEmail",
}


def syntax_only() -> int:
    """Validate all of `EMAILS` in this thread; how many are accepted."""
    adapter, accepted = TypeAdapter(EmailStr), 0
    for text in EMAILS:
        with contextlib.suppress(ValidationError):
            adapter.validate_python(text)
            accepted += 1
    return accepted


def uses() -> dict[str, str]:
    """What each use of a validated HttpUrl comes to: its value, or the exception's name."""
    url: Any = TypeAdapter(HttpUrl).validate_python("http://example.org")
    tried: dict[str, Callable[[], object]] = {
        "url == 'http://example.org'": lambda: url == "http://example.org",
        "url + '/a'": lambda: url + "/a",
        "url.startswith('http')": lambda: url.startswith("http"),
        "json.dumps(url)": lambda: json.dumps(url),
        "as a parameter of psycopg": lambda: psycopg.adapters.get_dumper(
            type(url), psycopg.adapt.PyFormat.AUTO
        ),
        "f'{url}/a'": lambda: f"{url}/a",
        "urljoin(str(url), 'a')": lambda: urljoin(str(url), "a"),
    }
    return {use: _tried(call) for use, call in tried.items()}


def _tried(call: Callable[[], object]) -> str:
    try:
        return str(call())
    except Exception as error:
        return type(error).__name__

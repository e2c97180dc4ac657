"""The API's one way in: strict JSON (RFC 8259), read without losing a digit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from django.conf import settings
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from credits_project.exceptions import DomainError

MAX_DEPTH = 32
# Python itself refuses integers of more than 4,300 digits, with another error.
MAX_DIGITS = 100


class NumberLiteral(str):
    """A JSON number with a fraction or an exponent, as it was written.

    A binary float would have lost the difference between 10.50 and 10.5, and made
    10.005 something else. Told apart from a JSON string by its type alone.
    """

    __slots__ = ()


class BodyTooLarge(DomainError):
    """The body is larger than any request of the API."""

    code = "payload-too-large"
    title = "The request's body is too large."
    status = 413

    def __init__(self) -> None:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        super().__init__(f"A body has at most {limit} bytes.", limit=limit)


class MalformedBody(DomainError):
    """The body is not JSON, or not JSON that means the same to everybody."""

    code = "invalid-request"
    title = "The request does not have the expected form."
    status = 400

    def __init__(
        self, detail: str, *, reason: str = "parse_error", pointer: str = "#"
    ) -> None:
        super().__init__(
            detail, errors=[{"pointer": pointer, "code": reason, "detail": detail}]
        )


class StrictJSONParser(BaseParser):
    """Reads `application/json` in UTF-8, of at most DATA_UPLOAD_MAX_MEMORY_SIZE bytes.

    Refused beside what is no JSON: NaN and Infinity, a name that stands twice in one
    object (readers disagree on which counts), NUL and lone surrogates (PostgreSQL keeps
    neither), and what is nested or long enough to hurt.
    """

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the document, with fractions as `NumberLiteral`.

        Raises:
            BodyTooLarge: before more than the limit has been read.
            MalformedBody: the bytes are not strict JSON.
        """
        if parser_context:
            _refuse_encodings(parser_context["request"])
        return _decode(_read(stream, parser_context))


def escape_pointer(name: object) -> str:
    """Return `name` as one step of a JSON pointer (RFC 6901), fit for any output."""
    step = str(name).replace("~", "~0").replace("/", "~1")
    printable = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in step)
    return printable[:100]


def _refuse_encodings(request: Request) -> None:
    encoding = request.headers.get("Content-Encoding", "identity")
    if encoding.strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType(encoding)
    charset = (request._request.content_params or {}).get("charset", "utf-8")
    if charset.lower().replace("_", "-") not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMediaType(request.content_type)


def _read(stream: IO[Any], parser_context: Mapping[str, Any] | None) -> bytes:
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    if parser_context:
        declared = parser_context["request"].META.get("CONTENT_LENGTH") or "0"
        if declared.isdecimal() and int(declared) > limit:
            raise BodyTooLarge
    body = bytes(stream.read(limit + 1))
    if len(body) > limit:
        raise BodyTooLarge
    return body


def _decode(body: bytes) -> Any:
    try:
        document = json.loads(
            body.decode(),
            parse_float=NumberLiteral,
            parse_int=_integer,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object,
        )
    except UnicodeDecodeError as error:
        raise MalformedBody("The body is not UTF-8.") from error
    except json.JSONDecodeError as error:
        raise MalformedBody(
            f"The body is not JSON: {error.msg} (line {error.lineno},"
            f" column {error.colno})."
        ) from error
    except RecursionError as error:
        raise _too_deep("#") from error
    _check(document)
    return document


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise MalformedBody(
            f"A number has at most {MAX_DIGITS} digits.", reason="number_too_long"
        )
    return int(text)


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedBody(f"{name} is not a JSON number.", reason="not_a_number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise MalformedBody(
            f"The name {escape_pointer(twice)!r} stands twice in one object.",
            reason="duplicate_key",
        )
    return document


def _check(document: Any) -> None:
    # A list of what is left instead of recursion: the depth is the client's choice.
    left: list[tuple[Any, str, int]] = [(document, "#", 0)]
    while left:
        value, pointer, depth = left.pop()
        if depth > MAX_DEPTH:
            raise _too_deep("#")
        if isinstance(value, dict):
            for name, member in value.items():
                step = f"{pointer}/{escape_pointer(name)}"
                _check_text(name, step)
                left.append((member, step, depth + 1))
        elif isinstance(value, list):
            left += [
                (member, f"{pointer}/{index}", depth + 1)
                for index, member in enumerate(value)
            ]
        elif isinstance(value, str):
            _check_text(value, pointer)


def _check_text(text: str, pointer: str) -> None:
    if "\0" in text:
        raise MalformedBody(
            "Null characters are not allowed.",
            reason="null_characters_not_allowed",
            pointer=pointer,
        )
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise MalformedBody(
            "Surrogate characters are not allowed.",
            reason="surrogate_characters_not_allowed",
            pointer=pointer,
        )


def _too_deep(pointer: str) -> MalformedBody:
    return MalformedBody(
        f"The body is nested more than {MAX_DEPTH} levels deep.",
        reason="too_deep",
        pointer=pointer,
    )

"""The file of seals is changed, or the key: what is found, and named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.wallets.sealed import KEY, OTHER_KEY, found, lines, story

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def sealed(settings: Any, tmp_path: Path) -> str:
    settings.LEDGER_SEAL_KEY = KEY
    settings.LEDGER_SEAL_FILE = str(tmp_path / "seals.jsonl")
    return settings.LEDGER_SEAL_FILE


def test_a_file_whose_end_was_cut_is_found(sealed: str):
    story()
    Path(sealed).write_bytes(lines(sealed)[0])

    assert found() == ["seal 2: is missing in the file: lines were removed"]


def test_a_file_that_lost_a_line_is_found(sealed: str):
    story()
    Path(sealed).write_bytes(lines(sealed)[1])

    assert found() == ["seal 1: is missing in the file: lines were removed"]


def test_a_line_cut_in_the_middle_is_found(sealed: str):
    story()
    Path(sealed).write_bytes(Path(sealed).read_bytes()[:-20])

    assert found() == [
        "file: the last line is cut off",
        "seal 2: is missing in the file: lines were removed",
    ]


def test_an_edited_line_is_found_and_the_key_confirms_the_table(sealed: str):
    story()
    text = Path(sealed).read_bytes().replace(b'"transfers": 3', b'"transfers": 2')
    Path(sealed).write_bytes(text)

    assert found() == ["seal 2: was edited in the file; the key confirms the table's"]


@pytest.mark.parametrize(
    "line", [b"nonsense\n", b"{}\n", b"[1]\n", b"\n", b"[" * 100_000 + b"\n"]
)
def test_a_line_that_is_no_seal_is_found(sealed: str, line: bytes):
    story()
    with Path(sealed).open("ab") as file:
        file.write(line)

    assert found() == ["file: line 3 is not a seal"]


@pytest.mark.parametrize(
    ("written", "rewritten"), [(b": ", b":  "), (b'"number": 2', b'"number": "2"')]
)
def test_a_line_written_in_another_way_is_no_seal(
    sealed: str, written: bytes, rewritten: bytes
):
    story()
    first, second = lines(sealed)
    Path(sealed).write_bytes(first + second.replace(written, rewritten))

    assert found() == [
        "file: line 2 is not a seal",
        "seal 2: is missing in the file: lines were removed",
    ]


def test_a_line_that_stands_twice_is_found(sealed: str):
    story()
    Path(sealed).write_bytes(b"".join([*lines(sealed), lines(sealed)[0]]))

    assert found() == ["file: line 3 is seal 1 once more"]


def test_a_forged_line_is_found(sealed: str):
    story()
    forged = lines(sealed)[1].replace(b'"number": 2', b'"number": 3')
    Path(sealed).write_bytes(b"".join([*lines(sealed), forged]))

    assert found() == ["seal 3: is in the file alone, and not made with the key"]


def test_a_file_that_is_gone_is_found(sealed: str):
    story()
    Path(sealed).unlink()

    assert found() == [
        f"file: LEDGER_SEAL_FILE {sealed} is missing",
        "seals 1 to 2: is missing in the file: lines were removed",
    ]


def test_a_file_that_cannot_be_read_is_found(settings: Any, tmp_path: Path):
    story()
    settings.LEDGER_SEAL_FILE = str(tmp_path)

    assert found() == [f"file: LEDGER_SEAL_FILE {tmp_path}: Is a directory."]


# The key.


def test_another_key_is_found(settings: Any):
    story()
    settings.LEDGER_SEAL_KEY = OTHER_KEY

    assert found() == [
        "key: LEDGER_SEAL_KEY fits no seal, though table and file agree: it is not the"
        " key they were made with"
    ]


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("", "LEDGER_SEAL_KEY is not set."),
        ("short", "LEDGER_SEAL_KEY has fewer than 32 characters."),
    ],
)
def test_a_missing_key_is_found(settings: Any, key: str, why: str):
    story()
    settings.LEDGER_SEAL_KEY = key

    assert found() == [f"key: {why} No seal can be checked."]

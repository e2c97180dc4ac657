"""The file that seals are written to as well: one line of JSON each, only ever longer.

It is what tells when the table of seals was cut or rewritten whole, so it belongs where
whoever has the database cannot write.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wallets.seals.digests import FIRST, Seal
from wallets.seals.exceptions import SealChainBroken, SealError

_COMPLETE: Final = "--complete-file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The lines of the file; None for a line that is no seal."""

    seals: list[Seal | None]
    # What stands after the end of the last line.
    torn: bytes


class SealFile:
    """The file, open and locked, for one sealer to append to."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def follow(
        self,
        last: Seal | None,
        *,
        complete: bool,
        seals_after: Callable[[int], list[Seal]],
    ) -> None:
        """Bring the file to `last`, the table's last seal, or refuse.

        A sealer that died between its commit and its line has left the file one seal
        behind, perhaps with a part of that line. That is made good; it can be, as the
        seal was made with the key. Anything else is for people to look at.

        Args:
            complete: also write other seals that the file lacks.
            seals_after: gives the table's seals above a number.

        Raises:
            SealChainBroken: the file and the table disagree.
        """
        contents = parsed(self._read())
        if contents.torn:
            # Only ever the beginning of the line that was being written.
            if last is None or not last.line().startswith(contents.torn):
                raise self._broken("ends in a line that is not of the last seal")
            os.ftruncate(
                self._descriptor,
                os.fstat(self._descriptor).st_size - len(contents.torn),
            )
        written = contents.seals[-1] if contents.seals else None
        if contents.seals and written is None:
            raise self._broken("ends in a line that is no seal")
        if written == last:
            return
        if last is None or (written and written.number >= last.number):
            ends = "is empty" if last is None else f"ends with seal {last.number}"
            raise self._broken(f"has other seals than the table, which {ends}")
        missing = seals_after(written.number if written else 0)
        if missing[0].previous_digest != (written.digest if written else FIRST):
            raise self._broken("has other seals than the table")
        if len(missing) > 1 and not complete:
            raise self._broken(
                f"lacks {len(missing)} seals of the table, from {missing[0].number} on;"
                f" if that is as it should be, {_COMPLETE} writes them"
            )
        for seal in missing:
            self.append(seal)

    def append(self, seal: Seal) -> None:
        """Write a seal's line, and return once it is on the disk.

        Raises:
            SealError: it could not be written; the next sealer writes it.
        """
        rest = seal.line() + b"\n"
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            os.fsync(self._descriptor)
        except OSError as error:
            raise SealError(
                f"Seal {seal.number} is in the database and not in LEDGER_SEAL_FILE"
                f" {self._path}: {error.strerror}. The next seal_ledger writes it."
            ) from error

    def _read(self) -> bytes:
        size = os.fstat(self._descriptor).st_size
        return os.pread(self._descriptor, size, 0)

    def _broken(self, what: str) -> SealChainBroken:
        return SealChainBroken(
            f"LEDGER_SEAL_FILE {self._path} {what}. Nothing was sealed: see"
            " verify_ledger --seals."
        )


@contextmanager
def opened(path: str) -> Iterator[SealFile]:
    """Open the file for appending, making it where there is none, and lock it.

    Raises:
        SealError: it cannot be opened.
    """
    is_new = not Path(path).exists()
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        if is_new:
            # The name is on the disk only once its folder is.
            _sync_folder(Path(path).parent)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield SealFile(Path(path), descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def standing_still(path: str) -> Iterator[bytes | None]:
    """Yield what the file holds, None where it is missing; no seal is added meanwhile.

    Raises:
        SealError: it cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            yield file.read()
    except FileNotFoundError:
        yield None
    except OSError as error:
        raise _unusable(path, error) from error


def parsed(text: bytes) -> Contents:
    """Return the lines of the file's text."""
    *lines, torn = text.split(b"\n")
    return Contents(seals=[Seal.of_line(line) for line in lines], torn=torn)


def _unusable(path: str, error: OSError) -> SealError:
    return SealError(f"LEDGER_SEAL_FILE {path}: {error.strerror}.")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Walks the opcodes of every pickle in a file: which names it looks up. Nothing is unpickled."""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from profiler.errors import ModelFileError

Global = tuple[str, str]

# A pickle of a model holds names and shapes; tensors lie beside it.
MAX_PICKLE_BYTES = 256 << 20
MAX_OPCODES = 20_000_000
MAX_NESTING = 3
UNKNOWN: Global = ("?", "a name computed at load time")

# As torch.save wrote before its zip archives: three small pickles, the object, storages' keys.
LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
LEGACY_PICKLES, LEGACY_OBJECT = 5, 3
MAPPINGS = (("collections", "OrderedDict"), ("collections", "defaultdict"))
MOST_TEXTS = 100_000


@dataclass(frozen=True)
class Outline:
    """What the pickle of a torch.save file is: a mapping or not, and the texts that it holds."""

    is_mapping: bool
    texts: frozenset[str]


def is_legacy(head: bytes) -> bool:
    """Whether the file begins as torch.save wrote it before PyTorch 1.6."""
    return head.startswith(LEGACY_MAGIC)


def file_globals(path: Path) -> set[Global]:
    """Every global named by any pickle that torch.load would read. Raises ModelFileError."""
    with path.open("rb") as file:
        return _legacy_globals(file) if is_legacy(file.read(32)) else archive_globals(path)


def _legacy_globals(file: IO[bytes]) -> set[Global]:
    file.seek(0)
    found: set[Global] = set()
    try:
        for _ in range(LEGACY_PICKLES):
            _collect(file, found)
    except Exception as error:
        # genops raises whatever its opcode readers raise.
        raise _damaged(error) from error
    return found


def outline(path: Path) -> Outline:
    """Look at the object's own pickle. Raises ModelFileError."""
    try:
        with path.open("rb") as file:
            if is_legacy(file.read(32)):
                file.seek(0)
                for _ in range(LEGACY_OBJECT):
                    _collect(file, set())
                return _outline(file)
        with zipfile.ZipFile(path) as archive:
            found = next(m for m in archive.infolist() if m.filename.endswith("/data.pkl"))
            _check_size(found)
            return _outline(io.BytesIO(archive.read(found)))
    except ModelFileError:
        raise
    except Exception as error:
        raise _damaged(error) from error


def _outline(file: IO[bytes]) -> Outline:
    texts: set[str] = set()
    root: bool | None = None
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name in ("PROTO", "FRAME"):
            continue
        if root is None:
            named = tuple(str(argument).split(" ", 1))
            root = opcode.name == "EMPTY_DICT" or named in MAPPINGS
        if "UNICODE" in opcode.name and len(texts) < MOST_TEXTS:
            texts.add(str(argument))
    return Outline(bool(root), frozenset(texts))


def _damaged(error: Exception) -> ModelFileError:
    return ModelFileError(f"A pickle in the file is damaged: {error}", "Copy or download it again.")


def archive_globals(path: Path) -> set[Global]:
    """Every global named by any pickle in the archive, nested archives included.

    Raises ModelFileError for a damaged archive.
    """
    return set().union(*(named for _, named in member_globals(path)))


def member_globals(path: Path) -> list[tuple[str, set[Global]]]:
    """The outermost archive's members that hold pickles, and what those name.

    Raises ModelFileError for a damaged archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return [(name, pickle_globals(data)) for name, data in _pickles(archive, 0)]
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise ModelFileError(
            f"{path.name} is a damaged archive: {error}", "Copy or download it again."
        ) from error


def _pickles(archive: zipfile.ZipFile, depth: int) -> Iterator[tuple[str, bytes]]:
    for member in archive.infolist():
        with archive.open(member) as file:
            head = file.read(4)
            if head == b"PK\x03\x04":
                file.seek(0)
                for _, data in _nested(file, member, depth):
                    yield member.filename, data
            elif member.filename.lower().endswith(".pt") and member.file_size:
                # torch.load would take it for an old pickle, of which it reads several.
                raise ModelFileError(
                    f"{member.filename} inside of the archive is no torch.save archive.",
                    "Save the model again with PyTorch 2.",
                )
            elif member.filename.lower().endswith((".pkl", ".pickle")) or _is_pickle(
                head, member, archive
            ):
                _check_size(member)
                yield member.filename, head + file.read()


def _nested(file: IO[bytes], member: zipfile.ZipInfo, depth: int) -> Iterator[tuple[str, bytes]]:
    if depth == MAX_NESTING:
        raise ModelFileError(
            f"{member.filename} is an archive in an archive in an archive.",
            "The file may be damaged, or made to do harm.",
        )
    if member.compress_type != zipfile.ZIP_STORED:
        # Seeking in compressed bytes unpacks them again and again.
        _check_size(member)
        file = io.BytesIO(file.read())
    with zipfile.ZipFile(file) as nested:
        yield from _pickles(nested, depth + 1)


def _check_size(member: zipfile.ZipInfo) -> None:
    if member.file_size > MAX_PICKLE_BYTES:
        raise ModelFileError(
            f"The archive's member {member.filename} unpacks to "
            f"{member.file_size >> 20} MiB, which no model's structure needs.",
            "The file may be damaged, or made to do harm.",
        )


def _is_pickle(head: bytes, member: zipfile.ZipInfo, archive: zipfile.ZipFile) -> bool:
    """Raw tensor bytes may start like a pickle; only what parses to STOP is one."""
    if not (head[:1] == b"\x80" and head[1:2] <= b"\x05") or member.file_size > MAX_PICKLE_BYTES:
        return False
    try:
        return any(op.name == "STOP" for op, _, _ in pickletools.genops(archive.read(member)))
    except Exception:
        # Not a pickle, then: genops raises whatever its opcode readers raise.
        return False


def pickle_globals(data: bytes) -> set[Global]:
    """(module, name) of every global that the pickle looks up, and pickles right behind it.

    Raises ModelFileError when the first one is damaged.
    """
    file = io.BytesIO(data)
    found: set[Global] = set()
    try:
        _collect(file, found)
    except Exception as error:
        raise _damaged(error) from error
    try:
        while file.tell() < len(data):
            _collect(file, found)
    except Exception:
        # What follows is no pickle to its end; what it named up to there is in `found`.
        return found
    return found


def _collect(file: IO[bytes], found: set[Global]) -> None:
    """Add one pickle's globals.

    STACK_GLOBAL takes its two strings from the stack. They count as told only where nothing but
    the two was pushed just before, else UNKNOWN stands in: pops and marks could hide others.
    """
    below: str | None = None
    top: str | None = None
    memo: dict[int, str | None] = {}
    for number, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        name = opcode.name
        if number == MAX_OPCODES:
            raise ValueError("it has more opcodes than any model's structure needs")
        if name in ("PROTO", "FRAME"):
            continue
        if name == "MEMOIZE":
            memo[len(memo)] = top
            continue
        if name in ("PUT", "BINPUT", "LONG_BINPUT"):
            memo[int(argument or 0)] = top
            continue
        if name in ("GLOBAL", "INST"):
            module, _, attribute = str(argument).partition(" ")
            found.add((module, attribute))
        elif name == "STACK_GLOBAL":
            found.add(UNKNOWN if below is None or top is None else (below, top))
        elif name in ("EXT1", "EXT2", "EXT4"):
            found.add(UNKNOWN)
        pushed = None
        if "UNICODE" in name or "STRING" in name:
            pushed = str(argument)
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            pushed = memo.get(int(argument or 0))
        below, top = (None, None) if pushed is None else (top, pushed)

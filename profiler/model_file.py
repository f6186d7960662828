"""What is this file? Told from a few bytes and zip member names; nothing in it is run."""

from __future__ import annotations

import codecs
import hashlib
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

from profiler import onnx_header, pickle_walk, safetensors_file
from profiler.errors import CancelledError, ModelFileError
from profiler.generation import folder
from profiler.pickle_safety import holds_only_data, in_order, is_torch_nn, shown
from profiler.types import ModelKind, ModelSource

Cancelled = Callable[[], bool]
# Of a file that is hashed: whether to go on is asked this often.
CHUNK_BYTES = 1 << 20
NEEDED = (
    "Dualscope opens .onnx, TorchScript, torch.export .pt2, AOTInductor packages, pickled "
    "modules, and weights (state dict, checkpoint, safetensors) with the code that builds "
    "their module."
)
# These hold weights without a model: something has to build the module that they belong to.
WEIGHTS_KINDS = (ModelKind.STATE_DICT, ModelKind.CHECKPOINT, ModelKind.SAFETENSORS)
# What trainers write beside the weights.
WEIGHTS_WORDS = frozenset({"state_dict", "model_state_dict"})
CHECKPOINT_WORDS = WEIGHTS_WORDS | {
    *("optimizer", "optimizer_state_dict", "optimizer_states", "lr_scheduler", "epoch"),
    *("global_step", "pytorch-lightning_version", "hyper_parameters"),
}
# No torch.save archive is compressed, so that only what was made to do harm unpacks to this.
MOST_UNPACKED_BYTES, MOST_UNPACKED_RATIO = 64 << 20, 100
USUAL_SUFFIXES = {
    ModelKind.ONNX: (".onnx", ".pb"),
    ModelKind.SAFETENSORS: (".safetensors", ".json"),
    ModelKind.TORCH_EXPORT: (".pt2", ".pt"),
    ModelKind.AOT_INDUCTOR: (".pt2", ".pt"),
}
TORCH_SUFFIXES = (".pt", ".pth", ".jit", ".ptl", ".bin", ".ckpt", ".pkl", ".ts", ".tar", ".torch")

# First bytes of files that people drop by mistake: (start, offset, what it is, what to do).
KNOWN_BYTES: tuple[tuple[bytes, int, str, str], ...] = (
    (b"\x1f\x8b", 0, "a gzip archive", "Unpack it first."),
    (b"BZh", 0, "a bzip2 archive", "Unpack it first."),
    (b"\xfd7zXZ\x00", 0, "an xz archive", "Unpack it first."),
    (b"ustar", 257, "a tar archive", "Unpack it first."),
    (b"7z\xbc\xaf", 0, "a 7z archive", "Unpack it first."),
    (b"\x89HDF\r\n\x1a\n", 0, "an HDF5 file (Keras weights?)", "Export the model to ONNX."),
    (b"TFL3", 4, "a TensorFlow Lite model", "Convert it to ONNX (tf2onnx)."),
    (b"GGUF", 0, "a GGUF file (llama.cpp)", "Open the original PyTorch model's ONNX export."),
    (b"ORTM", 4, "an ONNX Runtime .ort file", "Open the .onnx file that it was made from."),
    (b"\x89PNG", 0, "an image", NEEDED),
    (b"\xff\xd8\xff", 0, "an image", NEEDED),
    (b"%PDF", 0, "a PDF document", NEEDED),
    (b"version https://git-lfs", 0, "a Git LFS pointer, not the model", "Run `git lfs pull`."),
    (b"<!DOCTYPE html", 0, "a web page", "The download gave a page instead of the model."),
    (b"<html", 0, "a web page", "The download gave a page instead of the model."),
    (b"ftrt", 0, "a TensorRT engine", "Open the .onnx file that it was built from."),
)


def identify(path: Path, cancelled: Cancelled | None = None) -> ModelSource:
    """Kind, hash and size of a model file.

    The hash is the sha256 of the file. An ONNX file with external data, and the index of several
    safetensors files, stand for gigabytes that can't be read at once: there the hash covers the
    file itself and the other files' names, sizes and times of change.
    Raises ModelFileError, which says what the file is instead, for anything else, and
    CancelledError.
    """
    path = path.expanduser().resolve()
    _check_name(path)
    if folder.is_model_folder(path):
        return _folder(path, cancelled)
    _check_readable(path)
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(512)
    kind, beside, header = _kind(path, head, size_bytes)
    return ModelSource(
        path=str(path),
        kind=kind,
        sha256=file_hash(path, beside, cancelled),
        size_bytes=size_bytes + sum(part.stat().st_size for part in beside),
        opset=header.opset if header else None,
        producer=header.producer if header else "",
    )


def _folder(path: Path, cancelled: Cancelled | None) -> ModelSource:
    """A transformers folder: the hash covers its configuration, and the facts of its weights."""
    config, *weights = folder.folder_files(path)
    return ModelSource(
        path=str(path),
        kind=ModelKind.TRANSFORMERS,
        sha256=file_hash(config, tuple(weights), cancelled),
        size_bytes=sum(part.stat().st_size for part in (config, *weights)),
        producer="transformers",
    )


def file_hash(path: Path, beside: tuple[Path, ...] = (), cancelled: Cancelled | None = None) -> str:
    """Of the file's bytes, and of the facts of the files beside it. Raises CancelledError."""
    digest, chunk = hashlib.sha256(), memoryview(bytearray(CHUNK_BYTES))
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(chunk):
            if cancelled is not None and cancelled():
                raise CancelledError("Stopped.")
            digest.update(chunk[:size])
    for part in beside:
        facts = part.stat()
        digest.update(f"\0{part.name}\0{facts.st_size}\0{facts.st_mtime_ns}".encode())
    return digest.hexdigest()


def suffix_note(source: ModelSource) -> str:
    """What to say of a file whose suffix promises another kind; empty for any other."""
    suffix = Path(source.path).suffix.lower()
    usual = USUAL_SUFFIXES.get(source.kind, TORCH_SUFFIXES)
    others = {*TORCH_SUFFIXES, *(s for found in USUAL_SUFFIXES.values() for s in found)}
    if suffix in usual or suffix not in others:
        return ""
    return f"The file is called {suffix}, but it is of the kind {source.kind.value}."


Found = tuple[ModelKind, tuple[Path, ...], onnx_header.OnnxHeader | None]


def _kind(path: Path, head: bytes, size_bytes: int) -> Found:
    """The kind, files that belong to it, and an ONNX file's header."""
    if head.startswith(b"PK\x03\x04"):
        return _zip_kind(path), (), None
    for start, offset, what, hint in KNOWN_BYTES:
        if head[offset : offset + len(start)].lower() == start.lower():
            raise ModelFileError(f"{path.name} is {what}.", hint)
    if head[:1] == b"\x80" and head[1:2] <= b"\x05":
        return _bare_pickle_kind(path, head), (), None
    if safetensors_file.is_safetensors(head, size_bytes):
        safetensors_file.read_header(path)
        _refuse_shard(path)
        return ModelKind.SAFETENSORS, (), None
    if path.suffix == ".json" and safetensors_file.is_index(head):
        parts = safetensors_file.shards(path)
        for part in parts:
            safetensors_file.read_header(part)
        return ModelKind.SAFETENSORS, parts, None
    if _is_text(head):
        raise ModelFileError(f"{path.name} is a text file.", NEEDED)
    header = onnx_header.read_header(path)
    if header is None:
        raise ModelFileError(f"{path.name} is not a model file.", NEEDED)
    # Whether they may lie where they lie is checked where they are read.
    named = sorted(path.parent / name for name in header.weights_files if "\0" not in name)
    return ModelKind.ONNX, tuple(part for part in named if part.is_file()), header


def _refuse_shard(path: Path) -> None:
    index = path.with_name("model.safetensors.index.json")
    if index.is_file() and path.name in index.read_text("utf-8", "replace"):
        raise ModelFileError(
            f"{path.name} is one of several files of a model.", f"Open {index.name} beside it."
        )


def _check_name(path: Path) -> None:
    """Paths go to children and into session files as UTF-8; on Linux they may be any bytes."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        readable = os.fsencode(path).decode("utf-8", "backslashreplace")
        raise ModelFileError(
            f"The path {readable} is not valid UTF-8.", "Rename the file or folder."
        ) from error


def _check_readable(path: Path) -> None:
    if not path.exists():
        raise ModelFileError(f"{path} does not exist.", "It may have been moved or renamed.")
    if path.is_dir():
        raise ModelFileError(
            f"{path} is a directory.",
            "Open the model file inside of it, or a folder that transformers saved (config.json "
            "and model.safetensors).",
        )
    if not path.is_file():
        raise ModelFileError(f"{path} is not a regular file.", NEEDED)
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except PermissionError as error:
        raise ModelFileError(
            f"There is no permission to read {path}.", "Change its permissions, or copy it."
        ) from error
    except OSError as error:
        raise ModelFileError(f"{path} can't be read: {error.strerror}.") from error
    if empty:
        raise ModelFileError(f"{path.name} is empty.", "The copy or download may have failed.")


def _is_text(head: bytes) -> bool:
    if b"\x00" in head:
        return False
    try:
        # The last character may be cut.
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character in "\r\n\t" for character in text)


# --- archives and pickles -----------------------------------------------------------------------


def _zip_kind(path: Path) -> ModelKind:
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, OSError, UnicodeDecodeError) as error:
        raise ModelFileError(
            f"{path.name} is a truncated or damaged archive.", "Copy or download it again."
        ) from error
    _check_members(path, infos)
    # Every torch archive keeps its members in one folder, whose name may be anything.
    members = {info.filename.partition("/")[2] for info in infos}
    folders = {name.split("/")[0] for name in members}
    if any(name.startswith("data/aotinductor/") for name in members):
        return ModelKind.AOT_INDUCTOR
    if "constants.pkl" in members and "code" in folders:
        return ModelKind.TORCHSCRIPT
    if "bytecode.pkl" in members:
        raise ModelFileError(
            f"{path.name} is a model for PyTorch Mobile without its TorchScript code.",
            "Open the TorchScript or nn.Module file that it was made from.",
        )
    is_program = "serialized_exported_program.json" in {info.filename for info in infos}
    if is_program or "archive_format" in members:
        return ModelKind.TORCH_EXPORT
    if "data.pkl" in members:
        return _pickle_kind(path)
    inside = [i.filename for i in infos if i.filename.endswith((".onnx", *TORCH_SUFFIXES))]
    hint = f"Unpack it, and open {inside[0][:100]}." if inside else NEEDED
    raise ModelFileError(f"{path.name} is a zip archive, but no PyTorch model.", hint)


def _check_members(path: Path, infos: list[zipfile.ZipInfo]) -> None:
    """No torch archive has members outside of its folder, or ones that unpack to a flood."""
    for info in infos:
        name = info.filename.replace("\\", "/")
        if name.startswith("/") or ".." in name.split("/") or ":" in name.split("/")[0]:
            raise ModelFileError(
                f"{path.name} has a member outside of its archive: {name[:200]!r}.",
                "It was made to do harm, and was not read.",
            )
        ratio = info.file_size / max(1, info.compress_size)
        if info.file_size > MOST_UNPACKED_BYTES and ratio > MOST_UNPACKED_RATIO:
            raise ModelFileError(
                f"{name[:200]} in {path.name} unpacks to {info.file_size >> 20} MiB from "
                f"{info.compress_size >> 10} KiB.",
                "No model is packed like this: it was made to do harm, and was not read.",
            )


def _bare_pickle_kind(path: Path, head: bytes) -> ModelKind:
    if pickle_walk.is_legacy(head):
        return _pickle_kind(path)
    with path.open("rb") as file:
        data = file.read(pickle_walk.MAX_PICKLE_BYTES)
    try:
        names = in_order(pickle_walk.pickle_globals(data))
    except ModelFileError:
        names = ()
    listed = ", ".join(map(shown, names[:8]))
    raise ModelFileError(
        f"{path.name} is a pickle that torch.save did not write"
        f"{f', which names {listed}' if listed else ''}. It was not loaded.",
        "If you trust its author, load it in Python and save it with torch.save.",
    )


def _pickle_kind(path: Path) -> ModelKind:
    """By the object's own pickle; a mapping with modules in it counts as a pickled module."""
    outline, names = pickle_walk.outline(path), pickle_walk.file_globals(path)
    if not outline.is_mapping:
        if holds_only_data(path):
            raise ModelFileError(
                f"{path.name} holds tensors, but neither a module nor a state dict.",
                "Save the module's state_dict(), or the module with torch.export.save.",
            )
        return ModelKind.PICKLED_MODULE
    has_weights = bool(WEIGHTS_WORDS & outline.texts)
    if not has_weights and any(is_torch_nn(found) for found in names):
        return ModelKind.PICKLED_MODULE
    is_checkpoint = bool(CHECKPOINT_WORDS & outline.texts)
    return ModelKind.CHECKPOINT if is_checkpoint else ModelKind.STATE_DICT

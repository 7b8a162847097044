"""Packs in a local folder: what was saved is on the disk, whole, or not there at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any

from django.core.files.storage import FileSystemStorage


class LocalPackStorage(FileSystemStorage):
    """Writes beside the name, then renames; file and folders are synced before `save` returns. Nothing is overwritten."""

    def __init__(self, location: str | os.PathLike[str] | None = None, **options: Any) -> None:
        super().__init__(location, file_permissions_mode=0o600, directory_permissions_mode=0o700, **options)

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        if self.exists(name):
            raise FileExistsError(f"pack {name} exists")
        return name

    def _save(self, name: str, content: IO[bytes]) -> str:
        path = Path(self.path(name))
        made = _missing_folders(path.parent)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = _beside(path)
        try:
            _write_synced(beside, content)
            beside.rename(path)
        except OSError:  # a full disk is not made fuller by each try
            beside.unlink(missing_ok=True)
            raise
        for folder in (path.parent, *(new.parent for new in made)):
            _sync_folder(folder)
        return name

    def delete(self, name: str) -> None:
        """Also what a writer that was killed left beside the name."""
        _beside(Path(self.path(name))).unlink(missing_ok=True)
        super().delete(name)


def _write_synced(path: Path, content: IO[bytes]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        content.seek(0)
        while piece := content.read(1 << 20):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def _missing_folders(folder: Path) -> list[Path]:
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    return missing


def _sync_folder(folder: Path) -> None:
    """A rename, or a new folder, survives a power cut only when its parent was synced too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

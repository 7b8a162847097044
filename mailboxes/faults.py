"""What a log may say of a fault of ours: as what and where. Its text may quote a provider's answer or a stored row."""

from __future__ import annotations

import traceback


def told(error: BaseException) -> str:
    """ "KeyError from OperationalError", the causes after their effects, then a line a frame: file, line, function."""
    kinds: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        kinds.append(type(cause).__name__)
        cause = cause.__cause__ or cause.__context__
    frames = traceback.extract_tb(error.__traceback__)
    return " from ".join(kinds) + "".join(f"\n  {frame.filename}:{frame.lineno} {frame.name}" for frame in frames)

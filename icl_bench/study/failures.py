"""What goes wrong with the machine while a cell is done, in one line: memory, disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EACCES, EDQUOT, EEXIST, EFBIG, EIO, ENOSPC, ENOTDIR, EPERM, EROFS
from pathlib import Path

import torch

from icl_bench.errors import IclBenchError

_DISK = (EACCES, EDQUOT, EEXIST, EFBIG, EIO, ENOSPC, ENOTDIR, EPERM, EROFS)
"""Numbers of the errors of a folder that cannot be written."""
_DISK_TEXTS = (*map(os.strerror, (ENOSPC, EDQUOT, EFBIG)), "PytorchStreamWriter", "unexpected pos")
"""What those say that write by themselves and raise no OSError: safetensors, torch."""
_MEMORY_TEXTS = ("out of memory", "can't allocate memory", "ALLOC_FAILED")
"""What those say that raise no `torch.OutOfMemoryError`: other libraries of CUDA, torch on a CPU."""


@contextmanager
def in_one_line(what: str, out: Path) -> Iterator[None]:
    """Turn failures of the machine into errors of one line. Errors of a program pass as they are.

    Args:
        what: is done.
        out: where it is written.

    Raises:
        IclBenchError: no memory, no disk.
    """
    try:
        yield
    except Exception as error:
        text = " ".join(str(error).split())
        is_disk = error.errno in _DISK if isinstance(error, OSError) else any(sign in text for sign in _DISK_TEXTS)
        if is_disk:
            reason = getattr(error, "strerror", None) or text[:150]
            if getattr(error, "errno", None) in (EEXIST, ENOTDIR):
                raise IclBenchError(f"{what}: cannot write to {out}: it is no folder; choose another --out") from error
            raise IclBenchError(f"{what}: cannot write to {out}: {reason}; make room, and the same command goes on") from error
        is_memory = isinstance(error, RuntimeError) and any(sign in text for sign in _MEMORY_TEXTS)
        if is_memory or isinstance(error, (MemoryError, torch.OutOfMemoryError)):
            remedy = (
                "--gradient-checkpointing needs less; so do, in another --out, --lora, a smaller --batch-size, fewer --documents"
            )
            raise IclBenchError(f"{what}: out of memory; {remedy}; what is finished is kept in {out}") from error
        raise

"""What goes wrong with the machine while a cell is done, in one line: memory, disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from accelerate.utils.memory import should_reduce_batch_size

from icl_bench.errors import IclBenchError

_DISK = ("No space left on device", "File too large", "Disk quota exceeded", "PytorchStreamWriter", "unexpected pos")
"""What those say that write by themselves and raise no OSError: safetensors, torch."""


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
        if isinstance(error, OSError) or any(sign in text for sign in _DISK):
            reason = getattr(error, "strerror", None) or text[:150]
            raise IclBenchError(f"{what}: cannot write to {out}: {reason}; make room, and the same command goes on") from error
        if isinstance(error, MemoryError) or should_reduce_batch_size(error):
            remedy = "--batch-size, --lora, --gradient-checkpointing and --documents need less of it"
            raise IclBenchError(f"{what}: out of memory; {remedy}; what is finished is kept in {out}") from error
        raise

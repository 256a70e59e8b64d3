"""The one error that bad input raises."""


class IclBenchError(ValueError):
    """Bad input. The message is one line: what is wrong, the value, what to do."""

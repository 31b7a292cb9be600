"""The errors that a user can cause from the command line.

A script turns each of these into one clear line and exit code 2. Errors of ops are torch's kinds instead
(RuntimeError, IndexError, TypeError, ValueError, NotImplementedError), raised where they happen.
"""


class MinigradError(Exception):
    """Something that the user can put right: the message says what was wrong and what would be right."""


class OptionError(MinigradError, ValueError):
    """An option's value is unknown, out of range, or at odds with another option."""


class DataError(MinigradError, ValueError):
    """A data set is missing, incomplete or unreadable; the message names the file and its line."""


class CheckpointError(MinigradError, ValueError):
    """A checkpoint is truncated, of another model, or not a checkpoint at all."""


class DeviceError(MinigradError, RuntimeError):
    """A device was asked for that this machine does not have."""

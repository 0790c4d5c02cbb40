"""Everything that can go wrong, as one tree; the policy for each kind sits on its class.

DangolError
├── MalformedEvent          the sender's input is not an event, product or request we can read
│   └── OversizedInput      … because it is larger than a named limit
├── NotFound                the thing asked for by name does not exist
├── AccessDenied            no key, a revoked key, or a key that may not do this
│   └── Forbidden           … the key is known, the deed is not its
├── ConfigurationError      a setting, a flag or a data folder cannot be used as it is
│   ├── FolderInUse         another server holds the data folder
│   └── NewerVersion        the data folder or record was written by a newer Dangol
├── SnapshotRefused         a new snapshot is much smaller or worse than the one in use, which stays
├── UnusableChoices         what a ranker is to learn from has features that are no numbers, or does not fit together
├── NoOverlap               the log cannot say what a policy would have earned: it tried too little of what that does
├── Unavailable             a store or broker did not answer; retry with backoff
│   └── StatesLost          … the states are gone: begin an epoch and fold them again from the log
├── OutOfRetention          the log no longer has what was asked for; the archive may
├── PositionConflict        somebody else committed first; reload and fold again
└── Corrupt                 stored bytes are not what was written; stop
"""

from __future__ import annotations

from typing import ClassVar


class DangolError(Exception):
    """The root. `code` is stable and meant for programs; the message is meant for people.

    Attributes:
        retryable: whether the same call may succeed later, unchanged.
        http_status: the status a response has when this ends a request.
        code: a stable name of the kind of problem.
        pointer: a JSON pointer to the part of the input at fault, if there is one.
    """

    retryable: ClassVar[bool] = False
    http_status: ClassVar[int] = 500
    code: str = "internal_error"

    def __init__(self, message: str, *, pointer: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.pointer = pointer
        if code is not None:
            self.code = code

    @property
    def message(self) -> str:
        """The sentence for people."""
        return str(self.args[0])


class MalformedEvent(DangolError):
    """The input cannot be read as what it claims to be. Correct it and send it again."""

    http_status = 400
    code = "malformed"


class OversizedInput(MalformedEvent):
    """The input is larger than a named limit. Send less at a time."""

    http_status = 413
    code = "oversized"


class NotFound(DangolError):
    """The thing asked for by name does not exist."""

    http_status = 404
    code = "not_found"


class AccessDenied(DangolError):
    """The request has no key, or one that is unknown or revoked."""

    http_status = 401
    code = "access_denied"


class Forbidden(AccessDenied):
    """The key is valid, but may not do this."""

    http_status = 403
    code = "forbidden"


class ConfigurationError(DangolError):
    """A setting, a flag or a data folder cannot be used as it is. The message says how to mend it."""

    code = "configuration"


class FolderInUse(ConfigurationError):
    """Another server holds the data folder. Stop it first."""

    code = "folder_in_use"


class NewerVersion(ConfigurationError):
    """The data folder or record was written by a newer Dangol. Upgrade before opening it."""

    code = "newer_version"


class UnusableChoices(DangolError):
    """What a ranker is to learn from cannot be used: mend the features named in the message, and fit again."""

    code = "unusable_choices"


class NoOverlap(DangolError):
    """The log says too little about what a policy would do to estimate what it earns. Explore more, or ask for less."""

    http_status = 422
    code = "no_overlap"


class Unavailable(DangolError):
    """A store or broker did not answer. Retry with backoff; serve the degraded answer meanwhile."""

    retryable = True
    http_status = 503
    code = "unavailable"


class StatesLost(Unavailable):
    """The store has lost the states of a partition. Begin an epoch, and fold again from the store's positions."""

    code = "states_lost"


class OutOfRetention(DangolError):
    """The log no longer has the facts asked for. Read them from the archive, and go on from `begins` here.

    Attributes:
        partition: the partition that was read.
        begins: the first offset that the log still has, or will have.
    """

    code = "out_of_retention"

    def __init__(self, message: str, *, partition: int, begins: int) -> None:
        super().__init__(message)
        self.partition, self.begins = partition, begins


class PositionConflict(DangolError):
    """The position to commit is not the next one: another projector was faster. Reload and fold again."""

    retryable = True
    http_status = 503
    code = "position_conflict"


class Corrupt(DangolError):
    """Stored bytes are not what was written. Stop, and restore or replay."""

    code = "corrupt"

"""The error a user can mend: one sentence that says what, where, the limit and the way out."""


class InputError(Exception):
    """Shown to the user as its message alone, without a traceback; the stage ends with exit code 1."""

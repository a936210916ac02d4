"""What is kept of an exception in an outbox row and in the log: enough to find the cause, and no value of
anybody's.
"""

from __future__ import annotations

import re
import traceback

from sqlalchemy.exc import DBAPIError

MAX_CHARACTERS = 500

_SECRETS = (
    (re.compile(r"://[^@/\s]*@"), "://***@"),
    (
        re.compile(r"(?i)\b(\w*(?:token|secret|password|signature|passwd)\w*)(['\"]?\s*[=:]\s*['\"]?)[^\s&'\",}]+"),
        r"\1\2***",
    ),
)


def described(error: BaseException) -> str:
    """Class and message, at most 500 characters.

    SQLAlchemy's messages hold the statement with its parameters, and a driver's further lines the row's
    values (``DETAIL: Key (email)=...``), so of those only the driver's first line is taken.
    """
    if isinstance(error, DBAPIError) and error.orig is not None:
        error = error.orig
        message = str(error).partition("\n")[0]
    else:
        message = str(error)
    for pattern, replacement in _SECRETS:
        message = pattern.sub(replacement, message)
    return f"{type(error).__name__}: {message}"[:MAX_CHARACTERS]


def where(error: BaseException) -> str:
    """The stack of an exception without its message, for the log."""
    return "".join(traceback.format_tb(error.__traceback__))

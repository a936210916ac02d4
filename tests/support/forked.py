"""A fork of the test process that does one thing, answers whether it was right, and never becomes a second pytest."""

import os
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_RIGHT, _WRONG, _RAISED = 0, 1, 2
_LIMIT_S = 60
"""A lock that another thread held at the fork is never released in the child: it must not wait for ever."""


@contextmanager
def forked(is_right: Callable[[], object]) -> Iterator[None]:
    """A child that calls ``is_right`` while the block runs in the parent; fails unless it was true.

    Whatever it raises, the child ends here: it shares pytest's pipes, and one that went on would run the tests again.
    """
    child = os.fork()
    if not child:
        answer = _RAISED
        try:
            signal.alarm(_LIMIT_S)
            answer = _RIGHT if is_right() else _WRONG
        except BaseException:  # noqa: BLE001 - told, and over
            traceback.print_exc()
        finally:
            os._exit(answer)
    try:
        yield
    finally:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == _RIGHT, f"the child ended with {status}: 1 is a wrong answer, 2 an exception, negative a signal"

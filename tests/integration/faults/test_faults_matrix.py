"""Every cell of the resilience matrix whose row there is so far (PROMISES 3.3): each engine broken in three ways."""

import pytest
from faults_rows import ROWS, S3, SHARD, UPLOAD_S, Episode, check, promised, promised_elsewhere
from faults_world import ENGINES, ONE, TWO

from support.proxy import DELAY, REFUSE, RESET

pytestmark = pytest.mark.xdist_group("faults")
EPISODES = [(engine, mode) for engine in ENGINES for mode in (REFUSE, RESET, DELAY)]


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("episode", EPISODES, indirect=True, ids="-".join, scope="module")
def test_a_cell(broken: Episode, row: str) -> None:
    within_s = {"within_s": UPLOAD_S} if (row, broken.engine) == ("upload", S3) else {}
    check(broken.ask(row, ONE), promised(row, broken.engine, broken.mode), **within_s)
    if broken.engine == SHARD:
        check(broken.ask(row, TWO), promised_elsewhere(row))

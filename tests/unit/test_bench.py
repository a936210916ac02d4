"""The arithmetic of the benchmarks, and their command line. Nothing here measures anything."""

import dataclasses
import math
import subprocess
import sys
from pathlib import Path
from zlib import crc32

import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT))  # bench/ is run from the checkout and installed nowhere

from bench.fan_out import ids_below  # noqa: E402 - needs the line above
from bench.lists import key_of  # noqa: E402
from bench.load import BadAnswerError, Load, answer_bytes, request_for  # noqa: E402
from bench.processes import field_bytes  # noqa: E402
from bench.report import as_page, as_table  # noqa: E402
from bench.result import Goal, Result, histogram, median, median_ratio, percentile  # noqa: E402
from bench.servers import development_ini  # noqa: E402

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"


def result(*, value=50.0, baseline=100.0, goal=None, samples_ms=()):
    return Result(
        name="pages",
        title="Pages <fast>",
        value=value,
        unit="requests/s",
        baseline=baseline,
        against="bare",
        ratio=value / baseline,
        goal=goal or Goal(0.4, of="ratio", at_least=True),
        notes=["a note"],
        samples_ms=samples_ms,
    )


def test_the_ratio_is_the_median_of_the_rounds_ratios_and_not_the_ratio_of_medians():
    assert median_ratio([50, 10, 90], [100, 40, 100]) == 0.5


@pytest.mark.parametrize(("ours", "theirs"), [([], []), ([1], []), ([1], [0])])
def test_rounds_without_a_partner_that_did_something_have_no_ratio(ours, theirs):
    with pytest.raises(ValueError, match=r"measured|round"):
        median_ratio(ours, theirs)


def test_the_median_of_nothing_is_refused():
    with pytest.raises(ValueError, match="nothing"):
        median([])


@pytest.mark.parametrize(("share", "expected"), [(0, 1), (0.5, 2), (0.51, 3), (0.99, 4), (1, 4)])
def test_a_percentile_is_one_of_the_values(share, expected):
    assert percentile([4, 1, 3, 2], share) == expected


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1], 1.1)])
def test_a_percentile_of_nothing_or_beyond_all_is_refused(values, share):
    with pytest.raises(ValueError, match="percentile"):
        percentile(values, share)


def test_a_histogram_counts_every_value_once_and_outliers_in_its_last_bin():
    bins = histogram([1.0] * 99 + [1000.0], bins=4)
    assert sum(count for _, count in bins) == 100
    assert [edge for edge, _ in bins] == [0.0, 0.25, 0.5, 0.75]
    assert histogram([], bins=4) == []
    assert sum(count for _, count in histogram([0.0, 0.0], bins=4)) == 2


@pytest.mark.parametrize(
    ("goal", "value", "met"),
    [
        (Goal(0.4, of="ratio", at_least=True), 40.0, True),
        (Goal(0.4, of="ratio", at_least=True), 39.9, False),
        (Goal(30.0), 30.0, True),
        (Goal(30.0), 30.1, False),
    ],
)
def test_a_goal_bounds_the_value_or_its_ratio_and_includes_its_bound(goal, value, met):
    assert result(value=value, goal=goal).met is met


def test_the_json_of_a_result_has_the_promised_keys():
    assert result().as_json() == {
        "value": 50.0, "unit": "requests/s", "baseline": 100.0, "ratio": 0.5, "goal": 0.4, "met": True,
    }  # fmt: skip


def test_the_table_says_what_was_missed():
    table = as_table([result(), result(value=10.0)])
    assert "goal ≥ 40% of the baseline: met" in table
    assert table.endswith("missed: Pages <fast>")


def test_a_figure_without_a_goal_misses_none_and_is_told_without_one():
    known = dataclasses.replace(result(), goal=None)
    assert (known.as_json()["goal"], known.met) == (None, True)
    assert "goal" not in as_table([known]).splitlines()[0]
    assert "Goal" not in as_page([known], quick=False)


@pytest.mark.parametrize(("value", "told"), [(44.6, "45% of"), (2460.0, "25 times")])
def test_a_ratio_is_told_as_a_share_or_in_times(value, told):
    assert result(value=value).ratio_text == told


def test_the_page_draws_bars_and_the_distribution_where_there_is_one_and_loads_nothing():
    page = as_page([result(samples_ms=[float(number) for number in range(100)])], quick=True)
    assert page.count("<svg") == 2
    assert "Pages &lt;fast&gt;" in page
    assert "not to quote" in page
    assert "http" not in page
    assert as_page([result()], quick=False).count("<svg") == 1


def test_an_answer_is_as_long_as_its_head_and_body():
    assert answer_bytes(OK + b"abc", 3) == len(OK) + 3
    assert answer_bytes(OK[:-2], 3) is None


@pytest.mark.parametrize(
    ("data", "length"),
    [
        (b"HTTP/1.1 429 Too Many\r\nContent-Length: 3\r\n\r\nabc", None),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", None),
        (OK + b"abc", 4),
    ],
)
def test_an_answer_that_must_not_be_counted_is_an_error(data, length):
    with pytest.raises(BadAnswerError):
        answer_bytes(data, length)


def test_a_rate_is_answers_per_second_of_the_clock():
    assert Load(300, 1.5, []).rate == 200


def test_a_request_ends_its_head():
    assert request_for(80, "/x", {"A": "b"}) == b"GET /x HTTP/1.1\r\nHost: 127.0.0.1:80\r\nA: b\r\n\r\n"


def test_a_body_is_announced_by_its_length():
    assert request_for(80, "/x", {"A": "b"}, method="POST", body=b"abc").endswith(
        b"POST /x HTTP/1.1\r\nHost: 127.0.0.1:80\r\nA: b\r\nContent-Length: 3\r\n\r\nabc"
    )


def test_lists_are_written_where_the_application_looks_for_them():
    assert key_of(123456789) == f"feed:{{{crc32(b'123456789') & 255}}}:123456789"
    ids = ids_below(1 << 60, 1000)
    assert sorted(set(ids), reverse=True) == ids
    assert ids[0] < 1 << 60


def test_memory_is_read_in_bytes_and_by_the_whole_name():
    assert field_bytes("Pss_Anon:  1 kB\nPss:   12 kB\n", "Pss") == 12 * 1024
    with pytest.raises(ValueError, match="no Pss"):
        field_bytes("Rss: 1 kB\n", "Pss")


def test_both_sides_of_a_comparison_run_under_the_same_server_section(tmp_path):
    ours, _ = development_ini(tmp_path / "ours", api__rate_limit="5")
    bare, _ = development_ini(tmp_path / "bare", app={"use": "call:x:y"})
    sections = [path.read_text().split("[server:main]")[1].split("[alembic]")[0] for path in (ours, bare)]
    assert sections[0] == sections[1]
    assert "send_bytes" in sections[0]
    assert "api.rate_limit = 5" in ours.read_text()
    assert "photoapp" not in bare.read_text().split("[app:main]")[1]


@pytest.mark.parametrize(("arguments", "status"), [(["--help"], 0), (["--only", "nothing"], 2), (["--slow"], 2)])
def test_the_command_line_teaches_and_refuses(arguments, status):
    done = subprocess.run(
        [sys.executable, "-m", "bench", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stderr
    assert ("warm-feed" in done.stdout) == (status == 0)


def test_a_bin_of_a_histogram_is_never_zero_wide():
    assert all(math.isfinite(edge) for edge, _ in histogram([0.0], bins=3))

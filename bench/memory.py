"""Memory of the idle server: the proportional set size of its whole process tree, one warm imaging child included."""

from __future__ import annotations

import json
import time
from pathlib import Path

from bench.processes import is_supported, pss_bytes, tree
from bench.result import Goal, Result, Run
from bench.servers import Server, development_ini, running

_MB = 1_000_000


def run(folder: Path, run: Run) -> list[Result]:
    """Half a minute after the start, beside a bare Pyramid of the same age."""
    if not is_supported():
        run.tell("skipped: this system has no /proc/*/smaps_rollup")
        return []
    idle_s = 5 if run.quick else 30
    ini, port = development_ini(folder / "memory")
    (folder / "body").write_bytes(b"{}")
    (folder / "headers").write_text(json.dumps([("Content-Type", "application/json")]))
    bare_app = {
        "use": "call:bench.baselines.bare_pyramid:main",
        "body": str(folder / "body"),
        "headers": str(folder / "headers"),
    }
    bare_ini, bare_port = development_ini(folder / "bare", app=bare_app)
    with running(ini, port, path="/readyz") as ours, running(bare_ini, bare_port, path="/page") as bare:
        for left_s in range(idle_s, 0, -1):
            run.tell(f"{left_s} s of idling left")
            time.sleep(1)
        parts = _parts_mb(ours)
        baseline = sum(_parts_mb(bare))
    value = sum(parts)
    return [
        Result(
            name="server_idle_memory",
            title="Memory of the idle server",
            value=value,
            unit="MB",
            baseline=baseline,
            against="bare Pyramid on the same server",
            ratio=value / baseline,
            goal=Goal(120.0),
            notes=[
                f"PSS of {len(parts)} processes {idle_s} s after the start: "
                + " + ".join(f"{part:.0f}" for part in parts)
            ],
        )
    ]


def _parts_mb(server: Server) -> list[float]:
    return [pss_bytes(pid) / _MB for pid in tree(server.pid)]

"""Memory, as proportional set size: of the idle laptop server's whole process tree, one warm imaging child included; of
one web and one worker process of the stack.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from bench.processes import children, is_supported, pss_bytes, tree
from bench.result import Goal, Result, Run, median
from bench.servers import Server, development_ini, running
from bench.stack import PRODUCTION, Stack

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


def run_stack(stack: Stack, folder: Path, run: Run) -> list[Result]:
    """A gunicorn process and an RQ worker, both idle, beside a gunicorn process of bare Pyramid."""
    if not is_supported():
        run.tell("skipped: this system has no /proc/*/smaps_rollup")
        return []
    (folder / "body").write_bytes(b"{}")
    (folder / "headers").write_text("[]")
    bare_ini = folder / "bare.ini"
    bare_ini.write_text(
        "[app:main]\nuse = call:bench.baselines.bare_pyramid:main\n"
        f"body = {folder / 'body'}\nheaders = {folder / 'headers'}\n"
    )
    with stack.gunicorn(PRODUCTION, path="/readyz") as ours, stack.gunicorn(bare_ini, path="/page") as bare:
        run.tell("idling")
        time.sleep(2 if run.quick else 15)
        # Children of the first process; what decodes pictures is a child of theirs.
        web, bare_web = (_children_mb(server.pid) for server in (ours, bare))
        worker = _children_mb(stack.workers_pid("fast"))
    return [
        _of_process("web_process_memory", "Memory of a web process, on the stack", web, median(bare_web)),
        _of_process("worker_process_memory", "Memory of a worker process, on the stack", worker, median(bare_web)),
    ]


def _of_process(name: str, title: str, processes_mb: list[float], baseline_mb: float) -> Result:
    return Result(
        name=name,
        title=title,
        value=median(processes_mb),
        unit="MB",
        baseline=baseline_mb,
        against="a gunicorn process of bare Pyramid",
        ratio=median(processes_mb) / baseline_mb,
        goal=None,
        notes=[f"PSS of each of {len(processes_mb)}: " + ", ".join(f"{each:.0f}" for each in processes_mb)],
    )


def _children_mb(pid: int) -> list[float]:
    return [pss_bytes(child) / _MB for child in children(pid)]


def _parts_mb(server: Server) -> list[float]:
    return [pss_bytes(pid) / _MB for pid in tree(server.pid)]

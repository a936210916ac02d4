"""What Linux tells of processes: their CPU time, their memory, their children."""

from __future__ import annotations

import os
from pathlib import Path

PROC = Path("/proc")


def is_supported() -> bool:
    """Whether this system has what is asked here."""
    return (PROC / "self" / "smaps_rollup").exists()


def cpu_s(pid: int) -> float:
    """CPU time of a process, all its threads, in seconds."""
    fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """The process and everything that descends from it."""
    families = _families()
    found = [pid]
    for each in found:
        found += families.get(each, [])
    return found


def children(pid: int) -> list[int]:
    """The process's own children."""
    return _families().get(pid, [])


def _families() -> dict[int, list[int]]:
    families: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue  # it ended while we looked
            families.setdefault(parent, []).append(int(entry.name))
    return families


def pss_bytes(pid: int) -> int:
    """Proportional set size: private pages, and a fair share of those that are shared."""
    return field_bytes((PROC / str(pid) / "smaps_rollup").read_text(), "Pss")


def peak_bytes(pid: int) -> int:
    """The most memory the process ever had resident."""
    return field_bytes((PROC / str(pid) / "status").read_text(), "VmHWM")


def field_bytes(text: str, name: str) -> int:
    """A field in kB of a file of ``/proc``. Raises ``ValueError`` where it is missing."""
    for line in text.splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"no {name}")

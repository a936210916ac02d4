"""A 12-megapixel JPEG to all its renditions, in the limited child process that the server uses."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from pathlib import Path

from bench.processes import is_supported, peak_bytes
from bench.result import Goal, Result, Run, median
from bench.servers import ROOT
from photoapp.imaging.pool import ImagingPool
from photoapp.imaging.settings import ImagingSettings

_MB = 1_000_000


def run(folder: Path, run: Run) -> list[Result]:
    """Ours and plain Pillow take turns on one photo."""
    rounds = 3 if run.quick else 11
    run.tell("making a photo")
    photo = folder / "photo.jpg"
    photo.write_bytes(camera_jpeg())
    pool = ImagingPool(ImagingSettings())
    ours_ms: list[float] = []
    plain_ms: list[float] = []
    command = [sys.executable, str(ROOT / "bench" / "baselines" / "plain_pillow.py"), str(photo)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as plain:
        assert plain.stdin is not None
        assert plain.stdout is not None
        for number in range(rounds + 1):
            run.tell(f"round {number} of {rounds}" if number else "warming up")
            started = time.perf_counter()
            pool.process(photo)
            ours_ms.append((time.perf_counter() - started) * 1000)
            plain.stdin.write("again\n")
            plain.stdin.flush()
            spent_ms, plain_peak_bytes = plain.stdout.readline().split()
            plain_ms.append(float(spent_ms))
        plain.stdin.close()
    peak = max(peak_bytes(pid) for pid in pool.pids()) if is_supported() else 0
    pool.close()
    value, baseline = median(ours_ms[1:]), median(plain_ms[1:])
    results = [
        Result(
            name="image_12mp",
            title="12-megapixel JPEG to all renditions",
            value=value,
            unit="ms",
            baseline=baseline,
            against="plain Pillow: decode the whole photo, every size from the whole",
            ratio=value / baseline,
            goal=Goal(200.0),
            notes=[f"{photo.stat().st_size / _MB:.1f} MB file, blurhash included, {rounds} alternating rounds"],
            samples_ms=ours_ms[1:],
        )
    ]
    if peak:
        results.append(
            Result(
                name="image_12mp_memory",
                title="Peak memory of the imaging child",
                value=peak / _MB,
                unit="MB",
                baseline=int(plain_peak_bytes) / _MB,
                against="plain Pillow in a process of its own",
                ratio=peak / int(plain_peak_bytes),
                goal=Goal(100.0),
                notes=["the most it ever had resident, interpreter included"],
            )
        )
    return results


def camera_jpeg() -> bytes:
    """The photo that the tests use, from their module: they are no package."""
    spec = importlib.util.spec_from_file_location("samples", ROOT / "tests" / "samples.py")
    assert spec is not None
    assert spec.loader is not None
    samples = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(samples)
    photo: bytes = samples.camera_jpeg()
    return photo

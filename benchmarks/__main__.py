"""The quick benchmarks, one after another; ends with their lines ``NAME = VALUE``."""

from __future__ import annotations

import subprocess
import sys

QUICK = (
    ("overhead",),
    ("estimator",),
    ("pedestrians",),
    ("model", "--quick"),
    ("extract", "--quick"),
    ("overlay", "--seconds", "5"),
)


def main() -> int:
    values, failed = [], []
    for name, *options in QUICK:
        print(f"== benchmarks.{' '.join((name, *options))}", flush=True)
        process = subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.{name}", *options], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            if " = " in line and line.split(" = ")[0].isidentifier():
                values.append(line)
        if process.wait() != 0:
            failed.append(name)
    print("== figures")
    print("".join(values), end="")
    for name in failed:
        print(f"benchmarks.{name} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

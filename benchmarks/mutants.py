"""Change the code in small ways, one at a time, and see whether the quick tests notice (mutation testing, by mutmut).

    python -m benchmarks.mutants                                 # the guarded modules that differ from main
    python -m benchmarks.mutants anomaly/data/windows.py         # these
    python -m benchmarks.mutants --all --sample 60               # all of them, 60 changes of each, drawn by --seed

A change that no test sees (a survivor) is listed with file, line and what was changed. `GUARDED` says where a silent
change would hurt somebody, and which quick tests are nearest. Results are kept in build/mutants: what was seen is tried
again only when its function changes, or with --anew. mutmut changes the bodies of functions and methods, not of
properties, nor constants of a module.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Module -> the quick tests that are nearest to it.
GUARDED: dict[str, tuple[str, ...]] = {
    "anomaly/data/resampling.py": ("anomaly/data/test_windows.py", "anomaly/data/test_resampling.py"),
    "anomaly/data/windows.py": (
        "anomaly/data/test_windows.py",
        "anomaly/data/test_patch_windows.py",
        "anomaly/data/test_whole_clips.py",
    ),
    "anomaly/normality/movement.py": ("anomaly/normality/test_movement.py",),
    "anomaly/normality/prediction.py": ("anomaly/normality/test_prediction.py",),
    "anomaly/scoring/alarm_budget.py": ("anomaly/scoring/test_alarm_budget.py",),
    "anomaly/scoring/calibration.py": ("anomaly/scoring/test_calibration.py",),
    "anomaly/scoring/frame_scores.py": ("anomaly/scoring/test_frame_scores.py",),
    "anomaly/scoring/marked_threshold.py": ("anomaly/scoring/test_marked_threshold.py",),
    "anomaly/scoring/part_weights.py": ("anomaly/scoring/test_part_weights.py",),
    "anomaly/scoring/scores.py": ("anomaly/scoring/test_scores.py",),
    "anomaly/scoring/smoothing.py": ("anomaly/scoring/test_smoothing.py",),
    "anomaly/scoring/threshold.py": ("anomaly/scoring/test_threshold.py",),
    "pipeline/events/events.py": ("pipeline/events/test_events.py", "pipeline/review/test_thresholds.py"),
    "pipeline/review/marks.py": ("pipeline/review/test_marks.py",),
    "pipeline/review/recalibrate.py": ("pipeline/review/test_recalibrate.py",),
    "pipeline/review/thresholds.py": ("pipeline/review/test_thresholds.py",),
    "pose_extract/tracking/association.py": (
        "pose_extract/tracking/test_association.py",
        "pose_extract/tracking/test_tracker.py",
    ),
    "pose_extract/tracking/crossings.py": ("pose_extract/tracking/test_crossings.py",),
    "pose_extract/tracking/linking.py": ("pose_extract/tracking/test_linking.py",),
    "pose_extract/tracking/tracker.py": (
        "pose_extract/tracking/test_sides.py",
        "pose_extract/tracking/test_tracker.py",
    ),
    "pose_extract/tracks/cache.py": ("pose_extract/tracks/test_cache.py",),
    "pose_extract/tracks/cleaning.py": ("pose_extract/tracks/test_cleaning.py",),
    "pose_extract/tracks/clip_time.py": ("pose_extract/tracks/test_clip_time.py",),
}

_CONFIG = """

[tool.mutmut]
source_paths = ["pose_extract", "anomaly", "pipeline"]
only_mutate = ["{module}"]
also_copy = ["configs", "benchmarks", "docs"]
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = ["-m", "not slow and not browser and not openmmlab", "-p", "no:cacheprovider", "-p", "no:xdist"]
# What an error, a warning or a log line says is not what this is about.
do_not_mutate_patterns = ['^\\s*raise ', '^\\s*logger\\.', '^\\s*assert ']
use_git_change_detection = false
timeout_multiplier = 5.0
timeout_constant = 4.0
"""
_SEEN = ("killed", "timeout", "segfault")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument(
        "modules", nargs="*", help="files of GUARDED; left out: those that differ from --since"
    )
    parser.add_argument("--all", action="store_true", help="every guarded module")
    parser.add_argument("--since", default="main", help="the commit that decides what has changed (main)")
    parser.add_argument(
        "--sample", type=int, default=0, help="try so many changes of a module, drawn at random"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--anew", action="store_true", help="try those again, too, that were seen before")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.modules if name not in GUARDED]
    if unknown:
        parser.error(f"not among the guarded modules: {', '.join(unknown)}; they are {', '.join(GUARDED)}")
    modules = list(GUARDED) if options.all else options.modules or changed(options.since)
    if not modules:
        print(f"no guarded module differs from {options.since}")
    table, failed = [], False
    for module in modules:
        work = _workplace(module)
        known = _mutants(work, module)
        names = list(known)
        if options.sample and options.sample < len(names):
            names = sorted(random.Random(f"{options.seed} {module}").sample(names, options.sample))
        wanted = [name for name in names if options.anew or known[name] not in _SEEN]
        log = work / "mutmut.log"
        if wanted and not _run(["mutmut", "run", "--max-children", str(options.jobs), *wanted], work, log):
            print(f"{module}: mutmut failed, see {log.relative_to(ROOT)}", flush=True)
            failed = True
            continue
        verdicts = _verdicts(work, module)
        counts = Counter(verdicts[name] for name in names)
        seen = sum(counts[kind] for kind in _SEEN)
        table.append(f"{module:45} {seen:4} of {len(names):4} seen, {100 * seen / max(len(names), 1):5.1f} %")
        print(table[-1], flush=True)
        missed = [name for name in names if verdicts[name] not in _SEEN]
        for name, diff in _diffs(work, module, missed).items():
            print(_described(module, name, verdicts[name], diff), flush=True)
    print("\n".join(["== mutants that the quick tests see", *table]))
    return 1 if failed else 0


def changed(since: str) -> list[str]:
    """The guarded modules that differ from a commit, they or their tests."""
    command = ["git", "diff", "--name-only", since]
    lines = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [
        module
        for module, tests in GUARDED.items()
        if {module, *(f"tests/{test}" for test in tests)} & set(lines)
    ]


def _workplace(module: str) -> Path:
    """A folder for mutmut to work in, of one module: the tree by links, and a config."""
    work = ROOT / "build" / "mutants" / module.removesuffix(".py").replace("/", ".")
    work.mkdir(parents=True, exist_ok=True)
    for name in ("pose_extract", "anomaly", "pipeline", "benchmarks", "configs", "tests", "docs"):
        if not (work / name).exists():
            (work / name).symlink_to(ROOT / name)
    tests = [f"tests/{test}" for test in GUARDED[module]]
    missing = [test for test in tests if not (ROOT / test).is_file()]
    if missing:
        raise FileNotFoundError(f"{module}: no {', '.join(missing)}")
    config = (ROOT / "pyproject.toml").read_text() + _CONFIG.format(module=module, tests=json.dumps(tests))
    if not (work / "pyproject.toml").is_file() or (work / "pyproject.toml").read_text() != config:
        (work / "pyproject.toml").write_text(config)
    # Which tests run a function is found out anew when they have changed.
    stats = work / "mutants" / "mutmut-stats.json"
    if stats.is_file() and any((ROOT / test).stat().st_mtime > stats.stat().st_mtime for test in tests):
        stats.unlink()
    # mutmut copies sources once; what has changed since is copied anew.
    for copy in (work / "mutants").rglob("*.py") if (work / "mutants").is_dir() else ():
        source = ROOT / copy.relative_to(work / "mutants")
        if not source.is_file():
            copy.unlink()
        elif str(source.relative_to(ROOT)) != module and source.stat().st_mtime != copy.stat().st_mtime:
            shutil.copy2(source, copy)
    return work


def _python(command: list[str]) -> list[str]:
    return [str(Path(sys.executable).with_name(command[0])), *command[1:]]


def _environment() -> dict[str, str]:
    """Without what is meant for this run of pytest or Python, not for mutmut's own."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTEST_ADDOPTS")}
    return kept | {"OMP_NUM_THREADS": "1"}


_NAMES = """
import sys
from pathlib import Path
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.stats import status_by_exit_code
from mutmut.utils.format_utils import get_mutant_name
path = Path(sys.argv[1])
made, known = mutate_file_contents(str(path), path.read_text(), None, None), SourceFileMutationData(path=path)
known.load()
for mutant in made.mutant_names:
    name, function = get_mutant_name(path, mutant), mutant.partition("__mutmut_")[0]
    same = known.hash_by_function_name.get(function) == made.hash_by_function_name.get(function)
    print(name, status_by_exit_code[known.exit_code_by_key.get(name) if same else None], sep="\\t")
"""


def _mutants(work: Path, module: str) -> dict[str, str]:
    """Names of all changes of a module, in mutmut's order, and what is known of each."""
    command = [sys.executable, "-c", _NAMES, module]
    shown = subprocess.run(command, cwd=work, capture_output=True, text=True, check=True).stdout
    return dict(line.split("\t") for line in shown.splitlines())


def _run(command: list[str], work: Path, log: Path) -> bool:
    with log.open("w") as out:
        done = subprocess.run(
            _python(command), cwd=work, stdout=out, stderr=out, env=_environment(), check=False
        )
    return done.returncode == 0


def _verdicts(work: Path, module: str) -> dict[str, str]:
    """Of each mutant, by name: killed, survived, timeout, no tests."""
    from mutmut.stats import status_by_exit_code

    codes = json.loads((work / "mutants" / f"{module}.meta").read_text())["exit_code_by_key"]
    return {name: status_by_exit_code[code] for name, code in codes.items()}


_DIFFS = """
import json, sys
from mutmut.mutation.diff_apply import get_diff_for_mutant
module, *names = sys.argv[1:]
print(json.dumps({name: get_diff_for_mutant(name, path=module) for name in names}))
"""


def _diffs(work: Path, module: str, names: list[str]) -> dict[str, str]:
    """Each mutant's change as a unified diff of its function."""
    command = [sys.executable, "-c", _DIFFS, module, *names]
    shown = subprocess.run(command, cwd=work, capture_output=True, text=True, check=True).stdout
    found: dict[str, str] = json.loads(shown)
    return found


def _described(module: str, name: str, verdict: str, diff: str) -> str:
    """File, line and change of a mutant, as text."""
    shown = diff.splitlines()
    old = [line[1:] for line in shown if re.match(r"-(?!--)", line)]
    new = [line[1:].strip() for line in shown if re.match(r"\+(?!\+\+)", line)]
    within = int(next((m[1] for m in (re.match(r"@@ -(\d+)", line) for line in shown) if m), 1))
    context = next((i for i, text in enumerate(shown[3:]) if text.startswith(("-", "+"))), 0)
    body = (ROOT / module).read_text().splitlines()
    function = name.rpartition("__mutmut_")[0].rpartition("ǁ" if "ǁ" in name else ".")[2].removeprefix("x_")
    begins = [
        i for i, line in enumerate(body, 1) if re.match(rf"\s*(async )?def {re.escape(function)}\(", line)
    ]
    line = next((b + within - 1 + context for b in begins), 0)
    if old and line:  # several methods of one name, or a comment above: the line that says this
        near = [i for i, text in enumerate(body, 1) if text.strip() == old[0].strip()]
        line = min(near, key=lambda i: abs(i - line), default=line)
    change = f"{' '.join(text.strip() for text in old)}  ->  {' '.join(new)}"
    return f"  {module}:{line}: {verdict}: {change}   [{name}]"


if __name__ == "__main__":
    sys.exit(main())

"""Find what is installed, what can run, and the line that mends each gap. Fetches nothing, changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from importlib.metadata import PackageNotFoundError
from typing import TYPE_CHECKING, Any

from pipeline.doctor import probes
from pipeline.doctor.estimators import embedded_facts, job_estimator, openmmlab_facts
from pipeline.doctor.facts import Diagnosis, Fact, Job, Section, State
from pipeline.doctor.machine import device_facts, ffmpeg_facts, folder_facts, workspace_facts
from pipeline.doctor.packages import Package, extra_facts, needed_facts, packages, pip
from pipeline.doctor.probes import Trial

if TYPE_CHECKING:
    from pipeline.settings import Settings

# What the commands are made of: that it can be imported says more than any list of versions.
_COMMANDS = {
    "extract": "pipeline.extraction.run",
    "train": "pipeline.training",
    "score": "pipeline.scoring.scorer",
}


def examine(job: Job) -> Diagnosis:
    """Look at everything that extracting, training and scoring need on this machine.

    What may crash is imported in processes of its own, some of them side by side: ten seconds or so in all.

    Raises:
        ConfigError: the job's config is not one.
    """
    from pose_extract.estimators.openmmlab.compat import missing_packages

    with ThreadPoolExecutor(2) as pool:
        openmmlab = None if missing_packages() else pool.submit(probes.ask, "openmmlab")
        asked, odd = _asked_packages()
        trials = probes.try_imports([*(p.module for p in asked if not p.extra), *_COMMANDS.values()])
        settings = _settings(job, trials)
        estimator = job_estimator(settings.pose.estimator if settings else _named_estimator(job), job.offline)
        models = settings.openmmlab if settings else None
        device = job.device or (models.device if models and estimator == "openmmlab" else "auto")
        torch = pool.submit(probes.ask, "torch", list(dict.fromkeys(("auto", device))))
        model = _model(job, pool)

        def bad(name: str) -> State:
            return "gap" if name == estimator else "off"

        sections = [
            _section("packages", lambda: [*odd, *needed_facts(asked, trials)]),
            *(
                _section(f"extra {name}", partial(extra_facts, name, asked, bad(name)), bad(name))
                for name in sorted({p.extra for p in asked if p.extra})
            ),
            _section("devices", lambda: device_facts(device, *torch.result())),
            _section("ffmpeg", ffmpeg_facts),
            *(
                _section(f"estimator {name}", partial(embedded_facts, name, job, bad(name)), bad(name))
                for name in ("movenet", "blazepose")
            ),
            _section(
                "estimator openmmlab",
                lambda: openmmlab_facts(
                    job, models, asked, openmmlab.result()[1] if openmmlab else "", bad("openmmlab")
                ),
                bad("openmmlab"),
            ),
            _section("folders", lambda: folder_facts(job)),
            _section(
                "workspace", lambda: workspace_facts(job, *(model.result() if model else ([], ""))), "note"
            ),
            _section("commands", lambda: _command_facts(trials)),
        ]
    return Diagnosis(estimator, tuple(section for section in sections if section.facts))


def _section(title: str, check: Callable[[], Iterable[Fact]], broken: State = "gap") -> Section:
    """A check's facts; what breaks it is one more, of the state ``broken``."""
    facts = []
    try:
        for fact in check():  # not at once: those before the error count
            facts.append(fact)
    except Exception as error:
        facts.append(Fact("not looked at", broken, probes.describe(error)))
    return Section(title, tuple(facts))


def _model(job: Job, pool: ThreadPoolExecutor) -> Future[Any] | None:
    """What the workspace's model says, of itself and of clips, if there is one."""
    there = (job.workspace / "model").exists()
    return pool.submit(probes.ask, "model", [str(job.workspace)]) if there else None


def _asked_packages() -> tuple[list[Package], list[Fact]]:
    """What is asked for, and what is wrong with the question."""
    try:
        return packages(), []
    except PackageNotFoundError:
        line = f"{pip()} install ."
        return [], [Fact("gepc-pipeline", "note", "not installed, runs from its sources", (line,))]
    except ModuleNotFoundError:
        line = f"{pip()} install packaging"
        return [], [Fact("packaging", "gap", "not installed, so that no versions can be compared", (line,))]
    except Exception as error:
        return [], [Fact("versions", "note", f"cannot be compared: {probes.describe(error)}")]


def _settings(job: Job, trials: dict[str, Trial]) -> Settings | None:
    """The job's settings; None if what reads them cannot be imported here."""
    if any(trial.died for trial in trials.values()):
        return None
    try:
        from pipeline.settings import load_settings
    except Exception:
        return None
    return load_settings(job.config, job.overrides)


def _named_estimator(job: Job) -> str:
    """The estimator that the job's overrides name, where its config cannot be read."""
    named = [text.partition("=")[2] for text in job.overrides if text.startswith("pose.estimator=")]
    return named[-1].strip("'\"") if named else "auto"


def _command_facts(trials: dict[str, Trial]) -> Iterator[Fact]:
    for name, module in _COMMANDS.items():
        error = trials[module].error
        yield Fact(name, "gap" if error else "ok", f"cannot start: {error}" if error else "can start")

"""What a user's own program may look like: `make check` holds it to what mypy --strict asks of a program."""

import numpy as np

from gepc_pipeline import (
    GepcError,
    Model,
    Pushed,
    ScoredClip,
    evaluate,
    export,
    extract,
    report,
    score,
    train,
)


def told(stage: str, done: float, total: float | None) -> None:
    print(stage, done, total or "?")


def learn(folder: str) -> dict[str, object]:
    made = extract(folder, progress=told)
    print([entry.clip for entry in made.made], [f"{name}: {error}" for name, error in made.failed])
    return dict(train(seed=1, progress=True).facts)


def look(video: str) -> float:
    clip: ScoredClip = score(video)
    for event in clip.events:
        print(event.start_s, event.people, event.length_s)
    try:
        page = report([video], "review")
    except GepcError as error:
        print(error.exit_code, error)
        return 0.0
    print(page.page.name, export("parquet", "tables"))
    figures = evaluate("masks/")
    return figures.figure("auc_micro", figures.main) + float(clip.score.max())


def live(model: Model) -> list[float]:
    stream = model.stream(25, (640, 360))
    found: list[float] = []
    for _ in range(10):
        pushed: Pushed = stream.push(np.zeros((360, 640, 3), np.uint8))
        found += pushed.scores.score.tolist()
    print(
        model.skeleton.joints, model.score(np.zeros((9, 1, 17, 3)), fps=25, frame_size=(640, 360)).to_pandas()
    )
    return found

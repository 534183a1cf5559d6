"""Videos to people: decoding, pose estimation, tracking, the records and the cache."""

import os

# ONNX Runtime reports to its makers what it runs, since 1.29 by default, unless this is set when it is loaded: by this
# package, by an exported model, or by an estimator of the user's. Processes that are started here inherit it.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

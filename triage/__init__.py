"""Labels new issues from what a repository's own maintainers labelled before."""

import os

__version__ = "0.1.0"

# onnxruntime reports to Microsoft (a device id under ~/.cache/Microsoft, names looked up seconds later) unless this is
# set before its import; `disable_telemetry_events()` comes too late. optimum imports it as well, and Ray's workers
# import this package first, to unpickle a task: only this place surely precedes every import. A value that the user
# set is overridden, because nothing is sent to anybody but GitHub.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

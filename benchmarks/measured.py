"""Runs a command and writes its exit status, seconds, those of processors and peak memory to a JSON file.

    python benchmarks/measured.py FILE COMMAND...

The peak of a process counts that of the process which started it, so it has to be started from a small one: this one,
which imports nothing else.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

start = time.perf_counter()
status = subprocess.run(sys.argv[2:], check=False).returncode
seconds = time.perf_counter() - start
used = resource.getrusage(resource.RUSAGE_CHILDREN)
peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
found = {"status": status, "seconds": seconds, "processor_seconds": used.ru_utime + used.ru_stime, "peak_bytes": peak}
Path(sys.argv[1]).write_text(json.dumps(found))

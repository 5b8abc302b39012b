"""How long `make demo-segmentation` takes after installation, notebook and all.

Usage: python -m benchmarks.demo_segmentation
"""

import sys
import tempfile

from benchmarks.common import write_result
from benchmarks.startup import seconds

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        command = (sys.executable, "-m", "dmtkit", "run", "params/scenes.yaml", "--output", f"{folder}/run")
        write_result("demo_segmentation", {"seconds": round(seconds(*command), 1)})

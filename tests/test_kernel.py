"""In a notebook's kernel: interrupt and run again, as one does in JupyterLab."""

import json
import os
from pathlib import Path

import pytest
from jupyter_client.manager import start_new_kernel

from tests.commands import PATIENCE, wait_for
from tests.helpers import TINY

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


def run_cell(client, code, timeout=PATIENCE):
    """Execute a cell to its end; the status and the outputs' messages."""
    outputs = []
    reply = client.execute_interactive(code, timeout=timeout, output_hook=outputs.append)
    return reply["content"], outputs


@pytest.mark.long
def test_interrupting_and_running_again_goes_on_where_it_stopped(tmp_path):
    settings = {**TINY, "epochs": 30, "checkpoint_seconds": 3600, "methods": ["supervised", "dmt"]}
    setup = f"import torch, dmtkit\ntorch.set_num_threads(1)\nconfig = dmtkit.make_config({settings!r})"
    train = f"run = dmtkit.train(config, output_dir={str(tmp_path / 'run')!r})"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(NOTEBOOKS), env=environment)
    try:
        assert run_cell(client, setup)[0]["status"] == "ok"
        message = client.execute(train)
        log = tmp_path / "run" / "metrics.jsonl"
        wait_for(lambda: log.is_file() and '"dmt"' in log.read_text())
        manager.interrupt_kernel()
        while (reply := client.get_shell_msg(timeout=PATIENCE))["parent_header"].get("msg_id") != message:
            pass
        assert reply["content"]["ename"] == "KeyboardInterrupt"
        assert "run the same again and it goes on from here" in reply["content"]["evalue"]
        saved = [p for name in ("checkpoint", "model") for p in tmp_path.glob(f"run/dmt/phase_*/{name}-*.pt")]
        assert saved, "the interrupt wrote a checkpoint, or hit just after the phase's model was saved"
        before = len(log.read_text().splitlines())
        content, _ = run_cell(client, train)
        assert content["status"] == "ok", content
        records = [json.loads(line) for line in log.read_text().splitlines()]
        assert len(records) >= before
        places = [(r["method"], r["phase"], r["step"]) for r in records]
        assert len(places) == len(set(places)), "no step was logged twice"
        assert (tmp_path / "run" / "DONE.json").is_file()
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)

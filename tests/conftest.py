"""What the tests share: a kernel of this clone, and the settings of Jupyter inside .venv."""
import os
import pathlib
import queue
import shutil
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
LAB = "github.com/etredal/cross-layer-transcoder/notebooks/lab"

for _key, _sub in (("CONFIG", "config"), ("DATA", "data"), ("RUNTIME", "runtime")):
    os.environ.setdefault(f"JUPYTER_{_key}_DIR", str(ROOT / ".venv" / "clt" / "jupyter" / _sub))
os.environ.setdefault("IPYTHONDIR", str(ROOT / ".venv" / "clt" / "jupyter" / "ipython"))
os.environ.setdefault("CLT_NO_GOPLS", "1")  # completion is not under test; it costs 300 MB a kernel
os.environ.setdefault("CLT_KEEP_GOING", "1")  # these tests send a cell when the one before has answered

# Budgets are printed with what was measured; a test fails only beyond this factor, for machines are busy now and then.
TIME_FACTOR = float(os.environ.get("CLT_TIME_FACTOR", "5"))


class Kernel:
    """A GoNB kernel in a folder, spoken to as JupyterLab does."""

    def __init__(self, folder):
        from jupyter_client.manager import start_new_kernel

        self.manager, self.client = start_new_kernel(kernel_name="gonb", cwd=str(folder), startup_timeout=120)

    @property
    def pid(self):
        return self.manager.provisioner.pid

    def send(self, code):
        return self.client.execute(code)

    def wait(self, message, timeout=180, until=None):
        """The outputs of a cell as (type, text, ...), and its status; with until, only up to the output it accepts."""
        outputs, end = [], time.monotonic() + timeout
        while time.monotonic() < end:
            try:
                m = self.client.get_iopub_msg(timeout=max(0.1, end - time.monotonic()))
            except queue.Empty:
                break
            if m["parent_header"].get("msg_id") != message:
                continue
            kind, content = m["msg_type"], m["content"]
            if kind == "status" and content["execution_state"] == "idle":
                return outputs, self._status(message)
            if kind == "stream":
                outputs.append((content["name"], content["text"]))
            elif kind in ("display_data", "update_display_data", "execute_result"):
                outputs.append((kind, content["data"].get("text/plain", ""), content["data"], content["metadata"]))
            elif kind == "error":
                outputs.append(("error", content["evalue"]))
            if until and outputs and until(outputs[-1]):
                return outputs, None
        raise AssertionError(f"the cell did not end in {timeout} s; so far: {outputs}")

    def _status(self, message):
        while True:
            m = self.client.get_shell_msg(timeout=10)
            if m["parent_header"].get("msg_id") == message:
                return m["content"]["status"]

    def run(self, code, timeout=180):
        return self.wait(self.send(code), timeout)

    def cell(self, code):
        """Runs a cell that must succeed; its standard output and plain texts."""
        outputs, status = self.run(code)
        assert status == "ok", outputs
        return "".join(o[1] for o in outputs if o[0] != "stderr")

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=False)


def draws_bar(output):
    """Is this output a running progress bar?"""
    return output[0] in ("display_data", "update_display_data") and "<progress" in output[2].get("text/html", "")


def lab_cell(body):
    return f'import "{LAB}"\n%%\n{body}'


@pytest.fixture
def kernel():
    """Starts kernels by folder and shuts them down in the end."""
    started = []

    def start(folder=ROOT / "notebooks"):
        started.append(Kernel(folder))
        return started[-1]

    yield start
    for k in started:
        k.close()


@pytest.fixture(scope="session")
def chromium():
    for name in (os.environ.get("CLT_CHROMIUM"), "chromium", "chromium-browser", "google-chrome"):
        path = name and shutil.which(name)
        if path:
            return path
    pytest.skip("no chromium (apt-get install chromium)")


def alive(pid):
    """A process that runs: a zombie does not count."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def gone_after(pid, limit):
    """Seconds until the process is gone; None if it still runs after the limit."""
    begin = time.monotonic()
    while time.monotonic() - begin < limit:
        if not alive(pid):
            return time.monotonic() - begin
        time.sleep(0.01)
    return None

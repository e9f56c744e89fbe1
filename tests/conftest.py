"""What the tests share: a kernel of this clone, one JupyterLab, a browser, and the settings of Jupyter inside .venv."""
import hashlib
import os
import pathlib
import queue
import shutil
import subprocess
import tarfile
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

        self.closed = False
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
        if self.closed:
            return
        self.closed = True
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


@pytest.fixture(scope="session")
def folder():
    """Where notebooks of tests lie: inside the clone, with a space, ignored by git."""
    path = ROOT / "out" / f"browser test {os.getpid()}"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    (ROOT / "out" / "screenshots").mkdir(exist_ok=True)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def server(chromium, folder):
    """One JupyterLab for all tests."""
    import labui

    with labui.running(folder / "lab.log") as started:
        yield started


@pytest.fixture
def lab(server):
    """That JupyterLab; the kernels that a test started and the settings that it made end with it."""
    yield server
    server.end_sessions()
    server.reset()


@pytest.fixture(scope="module")  # Playwright's event loop must not run beside that of a kernel's client
def browser(chromium):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        b = p.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield b
        b.close()


@pytest.fixture
def page(lab, browser):
    """A page for JupyterLab that asks nobody outside its base URL, and logs no error."""
    import labui

    context = browser.new_context(viewport={"width": 1280, "height": 1000}, accept_downloads=True)
    page = labui.watch(context.new_page())
    yield page
    context.close()
    beside = [u for u in page.seen if u.startswith("http") and not u.startswith(lab.address + "/")]
    assert page.outside == [] and beside == [], "asked somebody else"
    assert page.errors == [], "errors in the console"


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Pages and notebook outputs with every component, written by a test of package viz."""
    folder = tmp_path_factory.mktemp("pictures")
    done = subprocess.run(["go", "test", "./viz", "-count=1", "-run", "^TestWritePictures$"], cwd=ROOT, env={**os.environ, "CLT_PICTURES": str(folder)},
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


AXE = "axe-core@4.10.3"
AXE_SHA256 = "0f2b4d7dcdf7d1219df8d1959ad68e565f51d14c3f0d88bb71cd59abeb956292"


@pytest.fixture(scope="session")
def axe(tmp_path_factory):
    """The script of axe-core, from the npm registry once, then from .venv."""
    kept = ROOT / ".venv" / "clt" / "axe.min.js"
    if not kept.exists():
        if not shutil.which("npm"):
            pytest.skip("no npm on PATH, which would fetch axe-core; install npm to check accessibility")
        folder = tmp_path_factory.mktemp("axe")
        done = subprocess.run(["npm", "pack", AXE, "--silent"], cwd=folder, capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip("npm could not fetch " + AXE + ": " + done.stderr.strip()[-200:])
        (package,) = folder.glob("*.tgz")
        assert hashlib.sha256(package.read_bytes()).hexdigest() == AXE_SHA256, "axe-core is not the package that was pinned"
        with tarfile.open(package) as tar:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(tar.extractfile("package/axe.min.js").read())
    return kept.read_text()


def serious(frame, axe, root="document"):
    """What axe-core finds in a document, or in a part of it, that is serious or critical."""
    frame.evaluate(axe)
    result = frame.evaluate(f"axe.run({root}, {{ iframes: false, resultTypes: ['violations'] }})")
    return [f"{v['id']} ({v['impact']}): {v['nodes'][0]['html'][:160]} … {v['nodes'][0]['failureSummary'][:200]}" for v in result["violations"] if v["impact"] in ("serious", "critical")]


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

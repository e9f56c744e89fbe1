"""The kernel and its engine: imports without boilerplate, state between cells, stop button, restart, kill."""
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

from conftest import ROOT, TIME_FACTOR, alive, draws_bar, gone_after, lab_cell

ENGINE = "s := lab.Open()\nst := s.State()\nfmt.Println(st.PID, s.SelfTest(3, 1))"
linux = pytest.mark.skipif(not pathlib.Path("/proc/self").exists(), reason="needs /proc")


def git_status():
    if not (ROOT / ".git").exists():
        return ""
    return subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True).stdout


def numbers(text):
    return [int(n) for n in re.findall(r"\d+", text)]


@linux
def test_cells_anywhere_without_boilerplate(kernel, tmp_path_factory):
    """A cell that only imports lab works in any folder, offline, and leaves the checkout as it was."""
    before = git_status()
    deep = tmp_path_factory.mktemp("a folder") / "with spaces, ünïcode"
    deep.mkdir()
    for folder in (ROOT / "notebooks", deep):
        k = kernel(folder)
        pid, steps = numbers(k.cell(lab_cell(ENGINE)))
        assert alive(pid) and steps == 3
        pid2, steps2 = numbers(k.cell(lab_cell(ENGINE)))
        assert (pid2, steps2) == (pid, 6), "the second cell met another engine, or its state was lost"
    assert "off" in k.cell('%%\nfmt.Print(os.Getenv("GOPROXY"))')
    assert git_status() == before


@linux
def test_engine_ends_with_the_kernel(kernel):
    k = kernel()
    pid, _ = numbers(k.cell(lab_cell(ENGINE)))
    begin = time.monotonic()
    k.manager.restart_kernel(now=False)
    restarted = time.monotonic() - begin
    left = gone_after(pid, 5)
    assert left is not None, "the engine outlived the restart"
    k.client.wait_for_ready(timeout=60)
    print(f"restart took {restarted:.2f} s, the engine was gone {left:.2f} s later")
    assert left < 1

    new, steps = numbers(k.cell(lab_cell(ENGINE)))
    assert new != pid and steps == 3
    os.kill(k.pid, signal.SIGKILL)
    left = gone_after(new, 5)
    print(f"kill -9: the engine was gone after {left} s")
    assert left is not None and left < 1


@linux
def test_stop_button_cancels_the_call_and_keeps_the_engine(kernel):
    """Within a second. What a busy machine cannot blur is counted: the engine's own steps of 10 ms each after the button."""
    k = kernel()
    pid, _ = numbers(k.cell(lab_cell(ENGINE)))
    seconds = []
    for attempt in range(3):
        before = numbers(k.cell(lab_cell(f"lab.Open().SelfTest(1, 0)\nfmt.Println(lab.Open().SelfTest(1, {attempt}))")))[0]
        message = k.send(lab_cell(f"lab.Open().SelfTest(3000, 10)\n_ = {attempt}"))
        k.wait(message, until=draws_bar)
        time.sleep(1.5)
        begin = time.monotonic()
        k.manager.interrupt_kernel()
        outputs, status = k.wait(message)
        seconds.append(time.monotonic() - begin)
        assert status == "error", "Run All must stop after an interrupt"
        texts = [o[1] for o in outputs if o[0] in ("display_data", "update_display_data")]
        assert "was interrupted" in texts[-1] and texts[-2].startswith("selftest: stopped at"), f"first what was reached, then the red line, then nothing: {texts}"
        reached = numbers(texts[-2])[0]
        drawn = [o for o in outputs if draws_bar(o)]
        assert 2 <= len(drawn) <= 4 * (1.5 + seconds[-1]) + 3, f"{len(drawn)} drawings of the bar in {1.5 + seconds[-1]:.1f} s"
        pid2, steps = numbers(k.cell(lab_cell(ENGINE)))
        more = steps - 3 - before - reached
        assert pid2 == pid and reached > 20 and 0 <= more <= 100, f"the engine did {more} steps of 10 ms after the last that was told"
    print("stop button: the cell was back after " + ", ".join(f"{s:.3f}" for s in seconds) + " s", file=sys.stderr)
    assert min(seconds) < 1


@linux
def test_killed_engine_is_said_in_one_line_and_replaced(kernel):
    k = kernel()
    pid, _ = numbers(k.cell(lab_cell(ENGINE)))
    message = k.send(lab_cell("lab.Open().SelfTest(3000, 10)"))
    k.wait(message, until=draws_bar)
    os.kill(pid, signal.SIGKILL)
    outputs, status = k.wait(message)
    assert status == "error"
    red = [o for o in outputs if len(o) > 2 and o[3].get("clt", {}).get("kind") == "error"]
    assert len(red) == 1 and "the engine ended" in red[0][1] and "run this cell again" in red[0][1], outputs
    new, steps = numbers(k.cell(lab_cell(ENGINE)))
    assert new != pid and steps == 3


@linux
def test_two_notebooks_have_two_engines(kernel):
    a, b = kernel(), kernel()
    pid_a, _ = numbers(a.cell(lab_cell(ENGINE)))
    pid_b, _ = numbers(b.cell(lab_cell(ENGINE)))
    assert pid_a != pid_b
    lab_stop = lab_cell("lab.Open().Stop()")
    a.cell(lab_stop)
    assert gone_after(pid_a, 2) is not None and alive(pid_b)


@linux
def test_two_notebooks_share_an_engine(kernel):
    """lab.Share: both kernels talk to one engine, which knows what either did and outlives the first."""
    a, b, c = kernel(), kernel(), kernel()
    own, _ = numbers(a.cell(lab_cell(ENGINE)))
    outputs, status = a.run(lab_cell("lab.Share()"))
    assert status == "ok" and any("shares the engine" in o[1] for o in outputs), outputs
    assert gone_after(own, 2) is not None, "the engine that nobody uses any more goes on"
    b.cell(lab_cell("lab.Share()"))
    pid_a, before = numbers(a.cell(lab_cell(ENGINE)))
    try:
        pid_b, after = numbers(b.cell(lab_cell(ENGINE)))
        pid_c, _ = numbers(c.cell(lab_cell(ENGINE)))
        assert pid_a == pid_b != pid_c and after == before + 3
        a.close()
        assert numbers(b.cell(lab_cell(ENGINE)))[0] == pid_b, "the engine ended with one of its notebooks"
    finally:
        b.cell(lab_cell("lab.Stop()"))
    assert gone_after(pid_b, 5) is not None


@linux
def test_stale_socket_and_file_in_the_way(kernel):
    k = kernel()
    folder = k.cell('%%\nfmt.Print(os.Getenv("GONB_TMP_DIR"))')
    socket = pathlib.Path(folder) / "engine.sock"
    pid, _ = numbers(k.cell(lab_cell(ENGINE)))
    os.kill(pid, signal.SIGKILL)
    assert gone_after(pid, 2) is not None and socket.exists()
    new, _ = numbers(k.cell(lab_cell(ENGINE)))
    assert new != pid
    k.cell(lab_cell("lab.Open().Stop()"))
    socket.write_text("precious")
    outputs, status = k.run(lab_cell(ENGINE))
    assert status == "error" and any("not a socket" in o[1] for o in outputs), outputs
    assert socket.read_text() == "precious"


def test_outputs_come_in_three_forms(kernel):
    k = kernel()
    outputs, status = k.run(lab_cell('lab.Check(1+1 == 2, "arithmetic", "2 = 2")'))
    assert status == "ok"
    _, _, data, metadata = [o for o in outputs if o[0] == "display_data"][0]
    assert {"text/html", "text/markdown", "text/plain"} <= set(data) and metadata["clt"]["kind"]
    outputs, status = k.run(lab_cell('lab.Check(1+1 == 3, "arithmetic", "got 2, want 3")'))
    assert status == "error" and any("does not hold; got 2, want 3" in o[1] for o in outputs), outputs


@linux
def test_latency(kernel):
    """The budgets: trivial cell 0.3 s, client cell 0.6 s. The best of seven counts, each cell has another text."""
    k = kernel()
    k.cell(lab_cell(ENGINE))
    for name, budget, cell in (
            ("trivial", 0.3, lambda i: f'%%\nfmt.Println("hello {i}")'),
            ("client", 0.6, lambda i: lab_cell(f"fmt.Println(lab.Open().State().PID, {i})"))):
        times = []
        for i in range(7):
            begin = time.monotonic()
            k.cell(cell(i + 1000 * os.getpid()))
            times.append(time.monotonic() - begin)
        times.sort()
        print(f"{name}: best {times[0]:.2f} s, median {times[3]:.2f} s, worst {times[-1]:.2f} s", file=sys.stderr)
        assert times[0] <= budget * TIME_FACTOR, f"{name} cell: {times}"

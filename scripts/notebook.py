"""Runs notebooks and writes reports; used by make demo, notebooks and reports, and by clt nb and clt report.

notebook.py run [--in-place] [--report] [--kernel NAME] NOTEBOOK...   execute; copies go to out/nb
notebook.py report [-o FILE] [--no-input] NOTEBOOK...                 one self-contained page each, outputs as saved
"""
import argparse
import errno
import os
import pathlib
import re
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEMPLATES = ROOT / "notebooks" / "templates"
OUT = ROOT / "out"
FINDINGS = ("finding", "proof", "check", "checks")  # kinds of output that make demo repeats


def execute(nb, path, kernel):
    """Executes a notebook in its own folder; returns the seconds of each code cell."""
    from nbclient import NotebookClient

    started, seconds = {}, []
    client = NotebookClient(nb, timeout=900, startup_timeout=120, kernel_name=kernel,
                            resources={"metadata": {"path": str(path.parent)}})

    def begin(cell, cell_index):
        started[cell_index] = time.monotonic()

    def end(cell, cell_index, execute_reply):
        took = time.monotonic() - started[cell_index]
        seconds.append((first_line(cell.source), took))
        print(f"  {took:6.1f} s  {seconds[-1][0]}", flush=True)

    client.on_cell_execute, client.on_cell_executed = begin, end
    client.execute()
    return seconds


def first_line(source):
    """The line that says what a cell does: the first that is neither import nor %%, nor how nearly every cell begins."""
    skip = ("import", "%%", "%", ")", '"', "//go:")
    lines = [line.strip() for line in source.splitlines()]
    lines = [line for line in lines if line and not line.startswith(skip)]
    for line in lines:
        if line == lines[-1] or not re.fullmatch(r"s := lab\.Open\([^()]*\)", line):
            return line[:70]
    return source.strip().splitlines()[0][:70] if source.strip() else "(empty)"


def join_streams(outputs):
    """GoNB sends each print by itself; JupyterLab joins them as they come, nbclient does not."""
    joined = []
    for out in outputs:
        last = joined[-1] if joined else None
        if out.output_type == "stream" and last is not None and last.output_type == "stream" and last.name == out.name:
            last.text = "".join(last.text) + "".join(out.text)
        else:
            joined.append(out)
    return joined


def normalise(nb):
    """Drops what differs between two runs of the same notebook, so that diffs show results only."""
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs = join_streams(cell.outputs)
        for key in ("execution", "collapsed", "ExecuteTime"):
            cell.metadata.pop(key, None)
    nb.metadata.pop("widgets", None)
    nb.metadata["language_info"] = {"name": "go", "file_extension": ".go", "mimetype": "text/x-go"}
    nb.metadata["kernelspec"] = {"name": "gonb", "display_name": "Go (gonb)", "language": "go"}


def write(nb, path):
    """Writes whole or not at all: one-space indent, sorted keys, newline at the end."""
    import nbformat

    path.parent.mkdir(parents=True, exist_ok=True)
    tmp = path.with_name(f".{path.name}.{os.getpid()}")
    tmp.write_text(nbformat.writes(nb) + "\n", encoding="utf-8")
    os.replace(tmp, path)


def report(nb, name, target, code=True):
    """Writes the notebook, outputs as they are, as one page that needs nothing else."""
    from nbconvert import HTMLExporter
    from traitlets.config import Config

    sys.path.insert(0, str(TEMPLATES))
    import page

    exporter = HTMLExporter(config=page.configure(Config()), exclude_input=not code)
    body, _ = exporter.from_notebook_node(nb, resources={"metadata": {"name": name}})
    target.parent.mkdir(parents=True, exist_ok=True)
    tmp = target.with_name(f".{target.name}.{os.getpid()}")
    tmp.write_text(body, encoding="utf-8")
    os.replace(tmp, target)
    return len(body.encode())


def found(nb):
    """Plain text of the outputs that state a result; of the last output if none says that it does."""
    texts, last = [], ""
    for cell in nb.cells:
        for out in cell.get("outputs", []):
            text = out.get("text") or out.get("data", {}).get("text/plain") or ""
            text = "".join(text).strip()
            if not text:
                continue
            last = text
            if out.get("metadata", {}).get("clt", {}).get("kind") in FINDINGS:
                texts.append(text)
    return texts or ([last] if last else [])


def read(path):
    """A notebook that is one; otherwise the program ends with one line."""
    import nbformat

    try:
        nb = nbformat.read(path, as_version=4)
        nbformat.validate(nb)
    except OSError:
        raise
    except Exception as err:  # JSON, Unicode and validation errors have no class in common
        why = next((line.strip() for line in str(err).splitlines() if line.strip()), type(err).__name__)
        sys.exit(f"notebook: {shown(path)} is no valid notebook: {why[:200]}; is it complete? clt nb check names every fault")
    return nb


def shown(path):
    try:
        return str(path.resolve().relative_to(pathlib.Path.cwd().resolve()))
    except ValueError:
        return str(path)


def why_failed(nb, err):
    """One line: the cell that failed, and what our own red line or else the kernel says."""
    for number, cell in enumerate(nb.cells, 1):
        outputs = cell.get("outputs", [])
        if any(o.output_type == "error" for o in outputs):
            ours = [o.data["text/plain"] for o in outputs if o.get("metadata", {}).get("clt", {}).get("kind") == "error"]
            errors = [o.evalue for o in outputs if o.output_type == "error"]
            streams = ["".join(o.text) for o in outputs if o.output_type == "stream" and o.name == "stderr"]
            text = " ".join((ours or streams or errors)[0].split()) or errors[0]
            return f"cell {number} ({first_line(cell.source)}): {text[:300]}"
    lines = str(err).strip().splitlines()
    return lines[-1] if lines else type(err).__name__


def run_command(args):
    (OUT / "nb").mkdir(parents=True, exist_ok=True)
    if not os.access(OUT / "nb", os.W_OK):  # before the work, not after it
        raise OSError(errno.EACCES, "nothing can be written there", str(OUT / "nb"))
    for path in args.notebooks:
        print(f"{shown(path)}:", flush=True)
        begin = time.monotonic()
        nb = read(path)
        try:
            seconds = execute(nb, path.resolve(), args.kernel)
        except Exception as err:
            write(nb, OUT / "nb" / path.name)
            sys.exit(f"notebook: {shown(path)}: {why_failed(nb, err)}; all outputs are in out/nb/{path.name}")
        total = time.monotonic() - begin
        normalise(nb)
        target = path if args.in_place else OUT / "nb" / path.name
        write(nb, target)
        print(f"  {total:6.1f} s  in all, {total - sum(s for _, s in seconds):.1f} s of it to start and stop the kernel")
        for text in found(nb):
            print("found:", text.replace("\n", "\n       "))
        if args.report:
            page = OUT / (path.stem + ".html")
            print(f"report: {shown(page)} ({report(nb, path.stem, page) / 1024:.0f} KiB)")


def report_command(args):
    if args.output and len(args.notebooks) > 1:
        sys.exit("notebook: -o takes one notebook; leave it out to write to out/")
    for path in args.notebooks:
        nb = read(path)
        page = args.output or OUT / (path.stem + ".html")
        print(f"report: {shown(page)} ({report(nb, path.stem, page, not args.no_input) / 1024:.0f} KiB)")


def main():
    parser = argparse.ArgumentParser(prog="notebook.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run")
    run.add_argument("--in-place", action="store_true", help="save the outputs in the notebook itself")
    run.add_argument("--report", action="store_true", help="also write out/NAME.html")
    run.add_argument("--kernel", default="gonb")
    run.set_defaults(command=run_command)
    rep = commands.add_parser("report")
    rep.add_argument("-o", dest="output", type=pathlib.Path)
    rep.add_argument("--no-input", action="store_true", help="leave the code out")
    rep.set_defaults(command=report_command)
    for p in (run, rep):
        p.add_argument("notebooks", nargs="+", type=pathlib.Path)
    args = parser.parse_args()
    for path in args.notebooks:
        if not path.is_file():
            sys.exit(f"notebook: {path} does not exist")
    os.environ.setdefault("CLT_GONB_FLAGS", "-raw_error")
    os.environ["CLT_KEEP_GOING"] = "1"  # nbclient stops at a failing cell by itself
    state = ROOT / ".venv" / "clt"
    if not os.access(state, os.W_OK):  # a clone that is read-only; as in env.sh
        state = pathlib.Path(tempfile.gettempdir()) / f"clt-{os.getuid()}"
        state.mkdir(mode=0o700, exist_ok=True)
    for key, sub in (("CONFIG", "config"), ("DATA", "data"), ("RUNTIME", "runtime")):
        os.environ.setdefault(f"JUPYTER_{key}_DIR", str(state / "jupyter" / sub))
    os.environ.setdefault("IPYTHONDIR", str(state / "jupyter" / "ipython"))
    os.environ["CLT_NO_TIMES"] = "1" if getattr(args, "in_place", False) else os.environ.get("CLT_NO_TIMES", "")
    try:
        args.command(args)
    except OSError as err:
        name = re.sub(rf"(^|/)\.([^/]+)\.{os.getpid()}$", r"\1\2", str(err.filename))  # not the temporary file's
        where = f"{shown(pathlib.Path(name))} cannot be written or read: " if err.filename else ""
        sys.exit(f"notebook: {where}{err.strerror or err}; is the folder there, and writable? If not, work in a copy of it")


if __name__ == "__main__":
    main()

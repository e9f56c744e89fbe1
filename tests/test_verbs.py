"""Every verb that lab.Help lists works as its example says, in a real kernel; the list of verbs is whole."""
import re

from conftest import ROOT, lab_cell

LISTED = ("Open Tokens Run Lens Attention Generate Train Eval Features Feature Graph Prune Why WhatIf Intervene Compare Replace Report Check "
          "Doctor Status Stop Share Help Section Done").split()
ALONE = {"Open", "Stop", "Share", "Done", "Report"}  # have cells of their own below


def examples():
    source = (ROOT / "notebooks" / "lab" / "help.go").read_text()
    return dict(re.findall(r'^\t"(\w+)":\s+`(.*?)`,$', source, re.M))


def short(name, line):
    """Two steps instead of hundreds."""
    extra = ", Features: 16, Fresh: true" if name == "Train" else ""
    return re.sub(r"Steps: \d+", "Steps: 2" + extra, re.sub(r"Tokens: \d+", "Tokens: 600", line))


def test_help_lists_every_verb():
    assert set(LISTED) - {"Help"} <= set(examples()), set(LISTED) - set(examples())


def test_examples_work(kernel):
    k = kernel()
    names = sorted(set(examples()) - ALONE)
    blocks = []
    for name in names:
        line, _, comment = examples()[name].partition("  //")
        declared = re.match(r"\s*(\w+) :=", line)
        use = f"\n\t_ = {declared.group(1)}" if declared else ""
        blocks.append(f'\tfmt.Println("verb {name}")\n\tfunc() {{\n\t{short(name, line.rstrip())}{use}\n\t}}()')
    head = ('import (\n"github.com/etredal/cross-layer-transcoder/clt/attribution"\n"github.com/etredal/cross-layer-transcoder/notebooks/lab"\n)\n%%\n'
            's := lab.Open("pocket")\ng := s.Graph(" The capital of France is")\na, b := g, s.Graph(" The capital of Japan is")\n'
            '_, _, _, _ = s, g, a, b\nvar _ attribution.ID\n')
    outputs, status = k.run(head + "\n".join(blocks), timeout=600)
    said = "".join(o[1] for o in outputs if o[0] == "stdout")
    assert status == "ok", [o[1][-600:] for o in outputs][-4:]
    assert re.findall(r"verb (\w+)", said) == names
    shown = [o for o in outputs if o[0] == "display_data"]
    assert len(shown) >= len(names) and all(o[3].get("clt") for o in shown)
    # what was shown goes on one page; the last cell counts the checks; the engine goes when told
    assert "wrote out/report-verbs.html" in k.cell(lab_cell('lab.Report("Verbs")'))
    assert "checks of this notebook hold" in k.cell(lab_cell("lab.Done()"))
    assert "no engine runs" in k.cell(lab_cell("lab.Stop()\nlab.Status()"))
    (ROOT / "out" / "report-verbs.html").unlink()


def test_help_explains_every_verb(kernel):
    k = kernel()
    names = ", ".join(f'"{n}"' for n in sorted(examples()))
    texts = k.cell(lab_cell(f"lab.Help()\nlab.Help({names})"))
    assert texts.count("Example:") == len(examples())
    for name in examples():
        assert re.search(rf"func .*\b{name}\b", texts), f"go doc says nothing of {name}"
    outputs, status = k.run(lab_cell('lab.Help("Frobnicate")'))
    assert status == "error" and any("there is no verb" in o[1] and "lab.Help() lists all" in o[1] for o in outputs)

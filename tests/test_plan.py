"""What is to be tested of pictures, progress and reports, and which test does it: a test that goes missing is noticed."""
import re

import pytest

from conftest import ROOT

FILES = {"viz": "viz/*_test.go", "lab": "notebooks/lab/*_test.go", "notebook": "internal/notebook/*_test.go",
         "browser": "tests/test_browser.py", "outputs": "tests/test_outputs.py", "pictures": "tests/test_pictures.py", "report": "tests/test_report.py", "kernel": "tests/test_kernel.py"}

PLAN = {
    # U: what can be said of the bytes alone
    "U1 golden files of the pictures": "viz.TestGoldenComponents viz.TestGoldenGraph viz.TestGoldenFeature",
    "U2 hostile text through every component": "viz.TestHostileComponents viz.TestHostileGraph viz.TestGlyphs viz.TestQuotedReadsBack viz.TestMarkdownCode",
    "U3 every SVG is well-formed, sized, and only draws": "viz.TestHostileComponents viz.TestHostileGraph",
    "U4 what an untrusted JupyterLab strips is not used": "viz.TestHostileComponents viz.TestFeatureSurvives outputs.test_untrusted",
    "U5 no address, nothing that runs text or keeps state": "viz.TestScripts viz.TestHostileGraph report.test_report_is_self_contained_and_repeatable",
    "U6 same input, same bytes; no id twice": "viz.TestSameBytes viz.TestHostileComponents",
    "U7 budgets": "viz.TestBudgets viz.TestPageBudget viz.TestHugeGraph viz.TestHugeTokens viz.TestFrameScript",
    "U8 contrast, and signs for colour-blind readers": "viz.TestContrast viz.TestSignsForColourBlindReaders",
    "U9 pictures, tables and folds have names": "viz.TestEverythingHasAName",
    "U10 layout": "viz.TestNodesStayInTheirCells viz.TestGlyphsKeepTwoPixels viz.TestEdgesGoUp viz.TestEverythingIsCounted",
    "U11 progress on a simulated clock": "viz.TestMeter lab.TestBar",
    "U12 report: provenance, hashes, no absolute path": "viz.TestProvenance report.test_report_counts_numbers_and_says_where_from report.test_report_is_self_contained_and_repeatable",
    # B: pictures in a browser
    "B1 untrusted: picture, table, exact text, no frame": "outputs.test_untrusted browser.test_quickstart_is_readable_untrusted pictures.test_without_scripts",
    "B2 trusted: a frame that reaches nothing and follows the theme": "outputs.test_trusted pictures.test_frame_takes_over pictures.test_themes_follow viz.TestBrowserPage",
    "B3 hover texts untrusted, at two widths": "outputs.test_hover_texts_lie_on_their_nodes",
    "B4 hostile text in page and frame": "outputs.test_untrusted outputs.test_trusted pictures.test_frame_takes_over report.test_foreign_outputs_cannot_run",
    "B5 the same output twice": "outputs.test_trusted",
    "B6 no handshake: the picture stays": "pictures.test_scripts_forbidden viz.TestBrowserWithoutFrame",
    "B7 hover at 2,000 nodes and 50,000 edges": "pictures.test_hover",
    "B8 keyboard": "pictures.test_keyboard pictures.test_figures_read_out viz.TestBrowserFrame",
    "B9 slider counts as Go does; pinned nodes stay": "viz.TestBrowserFrame pictures.test_pinned_nodes_stay",
    "B10 save SVG, PNG, JSON": "pictures.test_downloads viz.TestBrowserSaves outputs.test_trusted",
    "B11 axe-core on still blocks, frames, reports": "pictures.test_axe outputs.test_untrusted browser.test_report_is_accessible",
    "B12 nbconvert, scripts off": "pictures.test_exported_by_nbconvert browser.test_report_needs_nothing_else",
    "B13 print": "pictures.test_print",
    "B14 nothing is asked of anybody": "pictures.test_axe outputs.test_trusted browser.test_report_needs_nothing_else",
    "B15 reload, scroll away and back": "pictures.test_gone_frames_are_rebuilt outputs.test_scrolling_leaves_no_blank_picture",
    "B16 200 %, 360 pixels": "pictures.test_narrow_and_zoomed",
    # E: a person in JupyterLab
    "E1 open 00, run all": "browser.test_first_tutorial_runs browser.test_run_all_shows_progress_and_results browser.test_failing_cell_is_one_red_line_and_stops_run_all",
    "E2 save, reopen untrusted, trust": "browser.test_graph_lives_is_saved_reopened_and_trusted",
    "E3 dark theme with a graph open": "browser.test_graph_lives_is_saved_reopened_and_trusted outputs.test_trusted",
    "E4 export by the menu, sanitised or not": "browser.test_export_menu_writes_our_page",
    "E5 fast scrolling in each windowing mode": "outputs.test_scrolling_leaves_no_blank_picture",
    "E6 interrupt training, go on": "browser.test_interrupt_keeps_what_was_reached kernel.test_stop_button_cancels_the_call_and_keeps_the_engine",
    "E7 restart, last cell only": "browser.test_restart_and_run_the_last_cell kernel.test_engine_ends_with_the_kernel",
    "E8 two tabs on one notebook": "browser.test_two_tabs_on_one_notebook",
    "E9 a folder with spaces and other letters": "browser.test_graph_lives_is_saved_reopened_and_trusted kernel.test_cells_anywhere_without_boilerplate",
    "E10 behind a base URL": "browser.test_graph_lives_is_saved_reopened_and_trusted",  # all of them: the one server is behind one, fixture page looks
}


@pytest.mark.parametrize("what", PLAN)
def test_is_tested(what):
    for name in PLAN[what].split():
        place, test = name.split(".")
        source = "".join(f.read_text() for f in sorted(ROOT.glob(FILES[place])))
        assert re.search(rf"^(func|def) {test}\(", source, re.M), f"{what}: there is no {test} in {FILES[place]}"


def test_nothing_is_forgotten():
    ids = [what.split()[0] for what in PLAN]
    assert ids == [f"U{i}" for i in range(1, 13)] + [f"B{i}" for i in range(1, 17)] + [f"E{i}" for i in range(1, 11)]

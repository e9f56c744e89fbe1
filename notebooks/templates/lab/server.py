"""Settings of the JupyterLab that scripts/lab.sh starts: its export menu writes the same page as clt report."""
import page  # notebooks/templates is on PYTHONPATH

page.configure(get_config())  # noqa: F821  (jupyter defines it)

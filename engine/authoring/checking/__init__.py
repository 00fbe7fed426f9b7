"""What `engine check` looks for: one small module for each family of checks.

To add one: register its codes with `engine.authoring.checking.codes.code`, yield findings from a function of a
`Subject`, and name that function in `engine.authoring.checking.workflows.CHECKS`.
"""

from engine.authoring.checking.codes import CODES, Code
from engine.authoring.checking.saved import save, saved_findings
from engine.authoring.checking.workflows import Checked, check_entry

__all__ = ["CODES", "Checked", "Code", "check_entry", "save", "saved_findings"]

"""`engine settings`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from engine.commands.output import print_json, print_line, print_note
from engine.environments.choosing import settings_of_own
from engine.settings import Found, Settings, Source, Variable, hide_user, load_settings, variables


def show(*, as_json: bool, found: Mapping[str, Found] | None = None) -> None:
    """Print every setting with what it is now and where that comes from; secrets only as set or not.

    Args:
        as_json: print one document.
        found: what the start would find, as `load_settings` takes it.

    Raises:
        SettingsError: with every variable that is wrong, and every two that contradict each other.
    """
    settings = settings_of_own(load_settings(found))
    rows = [(variable, settings.source_of(variable.field)) for variable in variables()]
    warnings = settings.warnings()
    if as_json:
        print_json(
            {"settings": [_document(settings, variable, source) for variable, source in rows], "warnings": warnings}
        )
        return
    chosen = [(variable, source) for variable, source in rows if source != Source()]
    for variable, source in chosen:
        print_line(f"{_line(settings, variable)}{_from(variable, source)}")
    print_line("" if chosen else "Nothing is set.\n")
    print_line("By default:")
    rest = [variable for variable, source in rows if source == Source()]
    for section, each in itertools.groupby(rest, key=lambda variable: variable.section):
        print_line(f"\n  {section}")
        for variable in each:
            print_line(f"  {_line(settings, variable)}")
            print_line(f"      {variable.description}.{_others(variable)}")
    for warning in warnings:
        print_note(f"warning: {warning}")


def _line(settings: Settings, variable: Variable) -> str:
    return f"{variable.names[0]}={_value(settings, variable)}"


def _from(variable: Variable, source: Source) -> str:
    if source.found:
        return f"  (found: {source.found})"
    return f"  (from {source.variable})" if source.variable != variable.names[0] else ""


def _others(variable: Variable) -> str:
    return f" Also: {', '.join(variable.names[1:])}." if len(variable.names) > 1 else ""


def _document(settings: Settings, variable: Variable, source: Source) -> dict[str, Any]:
    return {
        "names": variable.names,
        "value": _value(settings, variable),
        "source": source.kind,
        "variable": source.variable,
        "found": source.found,
        "default": variable.default,
        "description": variable.description,
    }


def _value(settings: Settings, variable: Variable) -> str:
    value = getattr(settings, variable.field)
    if variable.secret:
        return "(set)" if value else ""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.15g}"
    # Folders are separated as in the variable; words of other lists by commas, as there.
    between = ":" if variable.field == "workflows_path" else " " if variable.field == "comfy_args" else ","
    text = between.join(map(str, value)) if isinstance(value, tuple) else str(value)
    return hide_user(text)

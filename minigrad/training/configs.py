"""--config: options from a file, JSON or YAML; a run's own config.json is one."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from minigrad.errors import OptionError, did_you_mean
from minigrad.option import Parser


def read_config(name: str, parser: Parser, not_taken: Collection[str], known: Collection[str]) -> dict[str, Any]:
    """The options in a file, checked as those of a command line are.

    Of a run's config.json, which has them under "options", those `not_taken` of this call alone (--out, --resume) are left out;
    in a file of one's own they are taken. OptionError, which names the file, for what is unknown or out of range.
    """
    content = _read(Path(name))
    of_a_run = isinstance(content.get("options"), dict)
    entries = dict(content["options"]) if of_a_run else content
    if of_a_run:
        entries = {key: value for key, value in entries.items() if key not in not_taken}
    entries |= entries.pop("settings", None) or {}
    found: dict[str, Any] = {}
    for key, value in entries.items():
        option = str(key).replace("-", "_").lstrip("_")
        action = next((a for a in parser._actions if a.dest == option), None)
        if option == "config":
            raise OptionError(f"--config {name} names another file of options, {value!r}: one is taken")
        if action is None or option == "help":
            raise OptionError(f"--config {name}: unknown option {key!r}{did_you_mean(option, known)}")
        if value is None:
            continue
        flag = action.option_strings[-1]
        if isinstance(value, bool):
            if action.nargs != 0:
                raise OptionError(f"--config {name}: {key} wants a value, not {json.dumps(value)}")
            found[option] = value
            continue
        text = ",".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
        try:
            found |= {option: vars(parser.parse_args([f"{flag}={text}"]))[option]}
        except OptionError as error:
            raise OptionError(f"--config {name}: {error}") from error
    return found


def _read(path: Path) -> dict[str, Any]:
    """What a file says, as a dictionary."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise OptionError(f"--config {path} cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise OptionError(f"--config {path} is no text in UTF-8") from error
    try:
        if path.suffix.lower() in (".yaml", ".yml"):
            content = _yaml(text, path)
        else:
            content = json.loads(text)
    except ValueError as error:
        raise OptionError(f"--config {path} is neither JSON nor YAML: {error}") from error
    if not isinstance(content, dict):
        raise OptionError(f'--config {path}: names and values are wanted, such as {{"epochs": 5}}')
    return content


def _yaml(text: str, path: Path) -> Any:
    """YAML, by PyYAML. OptionError where it is not installed."""
    try:
        import yaml
    except ImportError:
        raise OptionError(f"--config {path}: YAML takes PyYAML (pip install pyyaml); JSON does without") from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error

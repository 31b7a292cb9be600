"""Where a result comes from, in words."""

from __future__ import annotations

from compare.kit.result import Result

UNKNOWN = "not recorded"


def describe_origin(origin: Result) -> tuple[str, str]:
    """(command, when, on which commit, machine and versions it ran); what a file does not say is said to be unknown."""
    machine = origin.get("machine") or {}
    facts = [
        (origin.get("started") or "at a time that was not recorded").replace("T", " ").removesuffix("+00:00"),
        f"commit {shorten(origin.get('commit'))}",
    ]
    if machine:
        facts.append(f"{machine.get('processor')}, {machine.get('usable_cores')} of {machine.get('cores')} cores")
        facts.append(f"{machine.get('system')}, Python {machine.get('python')}")
    facts += [f"{name} {version}" for name, version in (origin.get("versions") or {}).items()]
    return origin.get("command") or f"command {UNKNOWN}", "; ".join(facts)


def shorten(commit: str | None) -> str:
    """The first twelve digits of a commit, and whether there were changes beside it."""
    if not commit:
        return UNKNOWN
    digits, plus, changes = commit.partition("+")
    return digits[:12] + plus + changes

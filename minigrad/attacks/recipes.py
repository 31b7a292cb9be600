"""The presets of attacks: whose loss an attack looks at, and whether it goes down or up."""

from __future__ import annotations

PRESETS: dict[str, dict[str, str]] = {
    "handout": {"target": "least-likely", "direction": "descend"},
    "report": {"target": "least-likely", "direction": "ascend"},
    "untargeted": {"target": "label", "direction": "ascend"},
}
"""What the assignment asks for; what its report did instead (away from a class that is far already: weak); the strongest."""

"""The tutorial's exercises, and the command that judges the answers to them: `python -m minigrad.exercises 3`.

A chapter's exercises are in chapterNN.py: functions to write, classes to repair, and what checks them. `fashion` gives the
small images that chapters share.
"""

from minigrad.exercises.images import fashion, names

__all__ = ["fashion", "names"]

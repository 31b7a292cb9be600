"""Defences: what a network is trained on so that attacks fail, and networks whose answers are certain within a radius."""

from minigrad.defences.smoothing import ABSTAINED, Smoothed
from minigrad.defences.training import DEFENCES, MART, TRADES, Defence, Fast, Free, Near, Noise, PGDTraining

__all__ = [
    "ABSTAINED", "DEFENCES", "MART", "TRADES", "Defence", "Fast", "Free", "Near", "Noise", "PGDTraining", "Smoothed",
]  # fmt: skip

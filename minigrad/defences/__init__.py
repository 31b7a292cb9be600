"""Defences: what a network is trained on so that attacks fail."""

from minigrad.defences.training import DEFENCES, MART, TRADES, Defence, Fast, Free, Near, Noise, PGDTraining

__all__ = ["DEFENCES", "MART", "TRADES", "Defence", "Fast", "Free", "Near", "Noise", "PGDTraining"]

"""Tests of minigrad.defences."""

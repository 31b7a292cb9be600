"""The simulation of docs/scaling.md, and what compare scaling --axis ranks makes of its measurements."""

from __future__ import annotations

import pytest

from compare import scaling
from tests.distributed.ranks import ROOT
from tools import scaling as simulation


def test_the_page_is_what_the_script_writes() -> None:
    assert (ROOT / "docs" / "scaling.md").read_text() == simulation.page()


def test_a_step_of_the_simulation_by_hand() -> None:
    layers = [simulation.Layer(10, 3e12), simulation.Layer(20, 6e12)]
    rate, network = simulation.RATE, 1e3
    work = 3 * 9e12 / rate + simulation.OVERHEAD
    assert simulation.step(layers, 1, 1, network) == pytest.approx(
        (work, 0.0), abs=1e-12
    )  # one GPU has nobody to wait for
    # On two machines one bucket of 30 bytes is sent at the end: half of them twice over the network, and two hops.
    end, waited = simulation.step(layers, 1, 16, network)
    near = 2 * 7 / 8 * 30 / simulation.NVLINK + 14 * simulation.NEAR
    assert waited == pytest.approx(30 / network + 2 * simulation.LATENCY + near)
    assert end - work == pytest.approx(waited)
    assert simulation.buckets([20, 10], 15) == [(20, 0), (10, 1)]


def test_tables_and_verdict_of_the_ranks() -> None:
    def track(seconds: float, early: float) -> dict:
        turn = {
            "seconds": [seconds],
            "waited": [0.01],
            "early": [early],
            "alone": [0.02 * bool(early)],
            "processor": [2 * seconds],
        }
        return {"turns": [turn | {"loss": 1.0}]}

    job = {"model": "simplenet", "batch": 32, "image_size": 64}
    points = [
        {"value": ranks, "threads": 1, "job": job, "tracks": {"minigrad": track(s, e), "torch": track(2 * s, 0)}}
        for ranks, s, e in ((1, 0.4, 0.0), (2, 0.3, 0.75))
    ]
    machine = {"processor": "a processor", "usable_cores": 2, "cores": 2, "load": [0.1]}
    result = {"axis": "ranks", "values": [1, 2], "rounds": 1, "points": points, "agree": True, "machine": machine}
    (table,) = scaling.show.tables(result)
    assert [row[0] for row in table.rows] == ["1", "2"] and "0.750" in table.rows[1] and "75 %" in table.rows[1]
    assert "takes 0.75 of its time on 1" in scaling.show.verdict(result) and "75 %" in scaling.show.verdict(result)
    assert "mean nothing" in scaling.show.verdict(result | {"agree": False})

"""What both scripts share and no framework owns: options, schedule, meters, progress, checkpoints, the run itself."""

from minigrad.errors import explain_missing as _explain_missing
from minigrad.training.attack_kinds import build
from minigrad.training.attacks import Attacker, attack_settings, epsilons, make_attack
from minigrad.training.checkpoints import load_checkpoint, load_weights, pack, part, save_checkpoint, unpack
from minigrad.training.defences import make_defence
from minigrad.training.feed import Feed, Tally, keep_on
from minigrad.training.measures import measures, sigma_settings
from minigrad.training.meters import Meter
from minigrad.training.options import Options, parse_options
from minigrad.training.ranks import BatchGenerator, current
from minigrad.training.report import report_attack, report_audit, report_evaluation
from minigrad.training.run import Data, Run, main, weights_to_load
from minigrad.training.schedule import learning_rate
from minigrad.training.weights import initial_weights

__all__ = [
    "Attacker",
    "BatchGenerator",
    "Data",
    "Feed",
    "Meter",
    "Options",
    "Run",
    "Tally",
    "attack_settings",
    "build",
    "epsilons",
    "current",
    "initial_weights",
    "keep_on",
    "learning_rate",
    "load_checkpoint",
    "load_weights",
    "main",
    "make_attack",
    "make_defence",
    "pack",
    "part",
    "parse_options",
    "report_attack",
    "report_audit",
    "report_evaluation",
    "save_checkpoint",
    "measures",
    "sigma_settings",
    "unpack",
    "weights_to_load",
]

_explain_missing(__name__)

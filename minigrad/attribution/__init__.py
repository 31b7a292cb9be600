"""Where a network looks: which pixels, and which places of a layer's maps, a class's logit depends on."""

from minigrad.attribution.grad_cam import grad_cam, localisation_map
from minigrad.attribution.gradients import input_gradient, input_times_gradient, saliency, smooth_grad
from minigrad.errors import explain_missing as _explain_missing

__all__ = ["grad_cam", "input_gradient", "input_times_gradient", "localisation_map", "saliency", "smooth_grad"]

_explain_missing(__name__)

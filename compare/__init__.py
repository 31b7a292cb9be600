"""minigrad beside PyTorch: `python -m compare` lists the commands; `compare.layerwise` takes anybody's pair of networks."""

from compare.layerwise.pair import Comparison, layerwise

__all__ = ["Comparison", "layerwise"]

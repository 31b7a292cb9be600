"""The kernels of both backends against torch, and against the list of them."""

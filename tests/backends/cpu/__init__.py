"""Every CPU kernel against torch, a file for each of minigrad/backends/cpu."""

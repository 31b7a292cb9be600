"""minigrad compared with PyTorch, by number: `python -m compare` lists the commands."""

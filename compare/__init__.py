"""minigrad held against PyTorch, by number: `python -m compare` lists the commands."""

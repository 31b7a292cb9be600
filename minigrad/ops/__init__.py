"""The mathematics: one file a family, each op's forward next to its backward, the formula in its docstring."""

"""What all commands share: what a command is, its options, both frameworks, results, distances, tables, pictures."""

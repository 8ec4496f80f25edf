"""Gift codes: credits that one user gives and another receives, exactly once."""

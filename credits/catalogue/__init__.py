"""The catalogue: prices of operations, as an amount or by units."""

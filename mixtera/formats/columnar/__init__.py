"""What formats of columns have in common: schemas, conversions, how a piece of an index is made."""

"""Public data sets by config: layout, clips and labels."""

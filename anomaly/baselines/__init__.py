"""The methods that the paper compares with, and those that any engineer would ask for, on the same windows."""

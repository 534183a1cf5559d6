"""Every method that the paper compares, fitted and scored in one way."""

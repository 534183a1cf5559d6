"""What several measurements share: data, networks to compare with, forms of the method."""

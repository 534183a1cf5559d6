"""A street and who is in it: scene, visits, exact joints, and an estimator's errors on them."""

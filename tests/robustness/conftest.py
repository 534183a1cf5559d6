"""The trained workspace of the tests of whole commands."""

from tests.integration.conftest import truth_workspace

__all__ = ["truth_workspace"]

"""`python -m gepc_pipeline` is `gepc-pipeline`."""

import sys

from gepc_pipeline import main

sys.exit(main())

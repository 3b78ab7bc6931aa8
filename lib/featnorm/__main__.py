"""``python -m featnorm``."""

import sys

from featnorm.cli import main

sys.exit(main())

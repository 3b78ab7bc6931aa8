"""``python -m featnorm``."""

import sys

from featnorm.cli import main

if __name__ == "__main__":  # a worker process of a sweep imports this module again
    sys.exit(main())

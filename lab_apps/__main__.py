"""`python -m lab_apps` is the command `lab`."""

import sys

from lab_apps.cli import main

sys.exit(main())

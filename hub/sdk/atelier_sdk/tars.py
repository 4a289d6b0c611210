"""`tarfile` with filters, which say what an archive may do to the machine that unpacks it.

Python 3.11 has them from 3.11.4 on; Debian 12 comes with 3.11.2.
"""

import sys

if sys.version_info >= (3, 11, 4):
    import tarfile
else:
    from backports import tarfile  # type: ignore[no-redef]

__all__ = ["tarfile"]

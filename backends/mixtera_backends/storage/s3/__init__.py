"""Objects of S3 and what speaks its protocol: `s3://bucket/key`.

Two clients of the same objects. botocore asks, lists and reads where the process may still be forked: it has no
threads of its own, so a child that makes a new client is whole. obstore reads ranges with a fraction of the work, but
after its first use a forked child hangs in it for ever: such a child is found out and goes on with botocore.
"""

from __future__ import annotations

from mixtera_backends.storage.s3.patience import Patience
from mixtera_backends.storage.s3.storage import S3Storage

__all__ = ["Patience", "S3Storage"]

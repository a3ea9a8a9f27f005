"""decord, imported without what it would load besides.

On import, decord loads every CUDA library that pip installed into the whole process, NVBLAS among them, which takes the
place of the BLAS that torch and others call on a CPU: they crash. Its own library needs none of them.
"""

import sys

_hidden = sys.modules.get("nvidia")
sys.modules["nvidia"] = None
try:
    import decord
    from decord._ffi.base import DECORDError, DECORDLimitReachedError
finally:
    del sys.modules["nvidia"]
    if _hidden is not None:
        sys.modules["nvidia"] = _hidden

decord.logging.set_level(decord.logging.QUIET)

VideoReader = decord.VideoReader
# decord's signs of an unreadable file, a file without video, damaged frames and an empty video, in this order.
ERRORS = (RuntimeError, DECORDError, DECORDLimitReachedError, AssertionError)

"""Imports decord without the CUDA libraries.

On import, decord loads every CUDA library that pip installed. One of them, NVBLAS, replaces the BLAS that torch calls
on the CPU, and torch crashes. decord itself needs none of these libraries.
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
# decord's errors for an unreadable file, a file without video, damaged frames and an empty video, in this order.
ERRORS = (RuntimeError, DECORDError, DECORDLimitReachedError, AssertionError)

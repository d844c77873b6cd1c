"""Compiled twin of ``reference.py``: same names, same answers, same errors. Other threads run while it counts."""

from array import array

from libc.math cimport M_PI, asin, cos, fmin, sin, sqrt

EARTH_RADIUS_M = 6_371_008.8

cdef double DIAMETER_M = 2 * 6_371_008.8
cdef double RADIANS = M_PI / 180


def distances_m(double lat, double lng, const double[::1] lats, const double[::1] lngs):
    if lats.shape[0] != lngs.shape[0]:
        raise ValueError(f"{lats.shape[0]} latitudes but {lngs.shape[0]} longitudes")
    metres = array("d", bytes(sizeof(double) * lats.shape[0]))
    cdef double[::1] answers = metres
    with nogil:
        _measure(lat, lng, lats, lngs, answers)
    return metres


cdef void _measure(
    double lat, double lng, const double[::1] lats, const double[::1] lngs, double[::1] answers
) noexcept nogil:
    cdef double phi = lat * RADIANS
    cdef double cos_phi = cos(phi), sin_phi = sin(phi)
    cdef double across, around, cos_other
    cdef Py_ssize_t i
    for i in range(lats.shape[0]):
        across = sin((lats[i] - lat) * RADIANS / 2)
        around = sin((lngs[i] - lng) * RADIANS / 2)
        # The cosine of the other latitude by the sum of angles: a square root is cheaper than a cosine.
        cos_other = cos_phi * (1 - 2 * across * across) - sin_phi * 2 * across * sqrt(1 - across * across)
        answers[i] = DIAMETER_M * asin(fmin(1.0, sqrt(across * across + cos_phi * cos_other * around * around)))

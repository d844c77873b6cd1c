"""One problem and one route as C sees them, and the steps of a walk along a route. What they mean: ``routes.py``."""

from libc.math cimport ceil, sqrt
from libc.stdint cimport uint64_t

cdef enum:
    MOST_STOPS = 64
    PAY_STEPS = 8
    LOADS = 3

cdef extern from *:
    """
    #define NEVER 1e18
    """
    const double NEVER

cdef struct Data:
    int places, n, m
    const double* x
    const double* y
    const float* matrix
    double speed
    int whole
    double half_pick, half_drop, radius, drive, busy
    const int* order_store
    const int* order_door
    const double* placed
    const double* ready
    const double* opens
    const double* due
    const double* shop
    const double* load
    const int* needs
    const double* wait
    const double* late
    const double* fresh
    const double* unserved
    const int* pin
    const int* shopper_place
    const double* free
    const double* off
    const double* pace
    const double* capacity
    const int* skills
    const double* pay
    const int* locked

cdef struct Mark:
    double leave
    double act
    double cost
    double load[LOADS]
    int node
    int stop

cdef struct Route:
    int n
    int orders
    int shopper
    uint64_t version
    double cost
    double end
    Mark at[MOST_STOPS + 1]

cdef struct Slot:
    double delta
    uint64_t version
    int route
    short i
    short j

cdef struct State:
    double leave
    double act
    double cost
    int node
    bint is_picking
    bint is_first
    bint is_promised


cdef inline double leg(const Data* d, int a, int b) noexcept nogil:
    cdef double dx, dy, way
    if d.matrix != NULL:
        return d.matrix[<Py_ssize_t>a * d.places + b]
    dx = d.x[a] - d.x[b]
    dy = d.y[a] - d.y[b]
    way = sqrt(dx * dx + dy * dy) / d.speed
    return <float>(ceil(way) if d.whole else way)


cdef inline bint pick(const Data* d, State* s, int c, int o) noexcept nogil:
    cdef int place = d.order_store[o]
    cdef double way, act
    if s.is_picking and s.node == place:
        act = s.act + d.shop[o] * d.pace[c]
    else:
        way = leg(d, s.node, place)
        if s.is_first and way > d.radius and not s.is_promised:
            return False
        s.cost += d.drive * way
        act = s.leave + way + d.half_pick + d.shop[o] * d.pace[c]
    if act < d.ready[o]:
        act = d.ready[o]
    if act > d.off[c] and not s.is_promised:
        return False
    s.cost -= d.fresh[o] * act
    s.act = act
    s.leave = act + d.half_pick
    s.node = place
    s.is_picking = True
    s.is_first = False
    return True


cdef inline void drop(const Data* d, State* s, int o) noexcept nogil:
    cdef int place = d.order_door[o]
    cdef double way = leg(d, s.node, place)
    cdef double act = s.leave + way + d.half_drop
    if act < d.opens[o]:
        act = d.opens[o]
    s.cost += d.drive * way + d.wait[o] * (act - d.placed[o]) + d.fresh[o] * act
    if act > d.due[o]:
        s.cost += d.late[o] * (act - d.due[o])
    s.act = act
    s.leave = act + d.half_drop
    s.node = place
    s.is_picking = False
    s.is_first = False


cdef inline bint advance(const Data* d, State* s, int c, int stop) noexcept nogil:
    if stop & 1:
        drop(d, s, stop >> 1)
        return True
    return pick(d, s, c, stop >> 1)


cdef inline double ending(const Data* d, int c, double leave, int orders) noexcept nogil:
    if orders == 0:
        return 0
    return d.pay[c * PAY_STEPS + (orders if orders < PAY_STEPS else PAY_STEPS - 1)] + d.busy * (
        (leave if leave < d.off[c] else d.off[c]) - d.free[c]
    )


cdef inline double one_more(const Data* d, Route* r) noexcept nogil:
    cdef int q = r.orders if r.orders < PAY_STEPS - 1 else PAY_STEPS - 2
    cdef const double* pay = d.pay + r.shopper * PAY_STEPS
    return pay[q + 1] - pay[q]


cdef inline void resume(Route* r, State* s, int k) noexcept nogil:
    s.leave = r.at[k].leave
    s.act = r.at[k].act
    s.cost = r.at[k].cost
    s.node = r.at[k].node
    s.is_picking = k > 0 and not (r.at[k - 1].stop & 1)
    s.is_first = k == 0
    s.is_promised = False


cdef inline bint has_room(const Data* d, Route* r, int o, int k) noexcept nogil:
    cdef int q, c = r.shopper
    for q in range(LOADS):
        if r.at[k].load[q] + d.load[LOADS * o + q] > d.capacity[LOADS * c + q] + 1e-9:
            return False
    return True


cdef bint walk(const Data* d, Route* r, int k) noexcept nogil
cdef void best_insertion(const Data* d, Route* r, int o, double limit, Slot* best) noexcept nogil
cdef void begin(const Data* d, Route* r, int c) noexcept nogil
cdef void carry_aboard(const Data* d, Route* r) noexcept nogil

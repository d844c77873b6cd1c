# distutils: extra_compile_args = -ffp-contract=off -fno-math-errno -fno-trapping-math
"""Compiled twin of ``routes.py``: walking a route, and the best place for one more order."""


cdef void begin(const Data* d, Route* r, int c) noexcept nogil:
    """An empty route."""
    cdef int q
    r.n = 0
    r.orders = 0
    r.shopper = c
    r.cost = r.end = 0
    r.at[0].leave = d.free[c]
    r.at[0].act = 0
    r.at[0].cost = 0
    r.at[0].node = d.shopper_place[c]
    for q in range(LOADS):
        r.at[0].load[q] = 0


cdef void carry_aboard(const Data* d, Route* r) noexcept nogil:
    """The car holds from the start what is dropped without being picked up."""
    cdef int i, j, q, o
    for q in range(LOADS):
        r.at[0].load[q] = 0
    for i in range(r.n):
        if not (r.at[i].stop & 1):
            continue
        o = r.at[i].stop >> 1
        for j in range(i):
            if r.at[j].stop == 2 * o:
                break
        else:
            for q in range(LOADS):
                r.at[0].load[q] += d.load[LOADS * o + q]


cdef bint walk(const Data* d, Route* r, int k) noexcept nogil:
    cdef State s
    cdef int c = r.shopper, i, q, o, stop
    cdef double sign
    resume(r, &s, k)
    for i in range(k, r.n):
        stop = r.at[i].stop
        o = stop >> 1
        s.is_promised = d.pin[o] >= 0
        if not advance(d, &s, c, stop):
            return False
        r.at[i + 1].leave = s.leave
        r.at[i + 1].act = s.act
        r.at[i + 1].cost = s.cost
        r.at[i + 1].node = s.node
        sign = -1.0 if stop & 1 else 1.0
        for q in range(LOADS):
            r.at[i + 1].load[q] = r.at[i].load[q] + sign * d.load[LOADS * o + q]
            if sign > 0 and not s.is_promised and r.at[i + 1].load[q] > d.capacity[LOADS * c + q] + 1e-9:
                return False
    r.orders = 0
    for i in range(r.n):
        if r.at[i].stop & 1 and d.pin[r.at[i].stop >> 1] < 0:
            r.orders += 1
    r.end = ending(d, c, s.leave, r.orders)
    r.cost = s.cost + r.end
    return True


cdef inline bint breaks_promise(const Data* d, Route* r, const State* s, int k) noexcept nogil:
    """Whether a promised pickup (stop k) would be put off beyond the shift, or farther beyond it."""
    return not (r.at[k].stop & 1) and s.act > d.off[r.shopper] and s.act > r.at[k + 1].act


cdef double finished(const Data* d, Route* r, State s, int k, double bound) noexcept nogil:
    """Cost of the route when it goes on in state s before stop k with one more order; NEVER when beyond bound."""
    cdef int i, c = r.shopper
    for i in range(k, r.n):
        s.is_promised = d.pin[r.at[i].stop >> 1] >= 0
        if not advance(d, &s, c, r.at[i].stop) or breaks_promise(d, r, &s, i):
            return NEVER
        if s.leave == r.at[i + 1].leave:
            # From here on everything is as it was.
            return s.cost + (r.at[r.n].cost - r.at[i + 1].cost) + ending(d, c, r.at[r.n].leave, r.orders + 1)
        if s.cost - r.at[i + 1].cost > bound:
            return NEVER
    return s.cost + ending(d, c, s.leave, r.orders + 1)


cdef void best_insertion(const Data* d, Route* r, int o, double limit, Slot* best) noexcept nogil:
    cdef int c = r.shopper, i, j, first = d.locked[c], place = d.order_store[o], door = d.order_door[o]
    cdef State s, u
    cdef double cost, least, arrival, more = one_more(d, r), direct = leg(d, place, door)
    best.delta = limit
    best.i = best.j = -1
    if (d.needs[o] & ~d.skills[c]) != 0 or r.n + 2 > MOST_STOPS or (d.pin[o] >= 0 and d.pin[o] != c):
        best.delta = NEVER
        return
    for i in range(first if first < r.n else r.n, r.n + 1):
        # Behind a pickup of the same store is as good as before it, and joins it.
        if i < r.n and not (r.at[i].stop & 1) and d.order_store[r.at[i].stop >> 1] == place:
            continue
        if not has_room(d, r, o, i):
            continue
        resume(r, &s, i)
        if not pick(d, &s, c, o):
            if s.is_first:
                continue
            break
        arrival = s.leave + direct + d.half_drop
        least = s.cost - r.at[i].cost + more + (d.wait[o] * (arrival - d.placed[o]) + d.fresh[o] * arrival)
        if arrival > d.due[o]:
            least += d.late[o] * (arrival - d.due[o])
        if i < r.n:
            least += d.drive * (leg(d, place, r.at[i + 1].node) - leg(d, r.at[i].node, r.at[i + 1].node))
        else:
            least += d.drive * direct
        if least >= best.delta:
            continue
        for j in range(i, r.n + 1):
            if j > i:
                s.is_promised = d.pin[r.at[j - 1].stop >> 1] >= 0
                if not advance(d, &s, c, r.at[j - 1].stop) or breaks_promise(d, r, &s, j - 1):
                    break
                if not (r.at[j - 1].stop & 1) and not has_room(d, r, o, j):
                    break
                if s.cost - r.at[j].cost + more >= best.delta:
                    break
            u = s
            drop(d, &u, o)
            if j < r.n:
                least = u.cost - r.at[j].cost + more + d.drive * (
                    leg(d, door, r.at[j + 1].node) - leg(d, r.at[j].node, r.at[j + 1].node)
                )
                if least >= best.delta:
                    continue
            cost = finished(d, r, u, j, best.delta + r.end) - r.cost
            if cost < best.delta:
                best.delta = cost
                best.i = <short>i
                best.j = <short>j
